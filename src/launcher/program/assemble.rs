//! Owns `assemble`: finding the program among the uploaded files, and placing it with the rest beside it.

use crate::relocate::{drain, each_entry, relocate};
use crate::system::{self, Errno, Fd, Kind};
use crate::{Output, Path, Process, Text, ROOT};

const LISTED_NAMES: usize = 20;

/// The input of `assemble`.
pub(crate) struct Assemble {
    destination: &'static [u8],
    source: Path,
    source_fd: Fd,
    directory: Path,
    artifact: Path,
}

fn failure() -> Output {
    Output::new(b"assemble")
}

pub(crate) fn path(parts: &[&[u8]]) -> Path {
    Path::of(b"assemble", parts)
}

impl Assemble {
    pub(crate) fn new(process: &Process) -> Self {
        let destination = process.variable_or(b"S2I_DESTINATION", b"/tmp");
        let root = process.variable_or(b"APP_ROOT", ROOT);
        for (name, value) in [(&b"S2I_DESTINATION"[..], destination), (b"APP_ROOT", root)] {
            if !value.starts_with(b"/") {
                failure().text(name).text(b" is not an absolute path").end(2);
            }
        }
        let source = path(&[destination, b"/src"]);
        let source_fd = match system::open_directory(system::HERE, source.text()) {
            Ok(fd) => fd,
            Err(Errno::NO_ENTRY) => {
                failure().name(source.bytes()).text(b" does not exist: the input belongs there").end(1)
            }
            Err(Errno::NOT_DIRECTORY) => {
                failure().name(source.bytes()).text(b" is not a directory: the input belongs into it").end(1)
            }
            Err(error) => failure().text(b"cannot read ").name(source.bytes()).because(error, 3),
        };
        let mut this =
            Self { destination, source, source_fd, directory: path(&[root, b"/bin"]), artifact: path(&[]) };
        match process.variable(b"B2I_ARTIFACT") {
            b"" => this.find_artifact(),
            name => this.take_named(name),
        }
        this
    }

    fn kind(&self, name: Text) -> Kind {
        system::status(self.source_fd, name, false).map_or(Kind::Absent, |status| status.kind)
    }

    /// Calls the function with each entry of the source directory.
    fn each(&self, mut act: impl FnMut(Text)) {
        let read = each_entry(self.source_fd, &mut |name| {
            act(name);
            Ok(())
        });
        if let Err(error) = read {
            failure().text(b"cannot read ").name(self.source.bytes()).because(error, 3);
        }
    }

    /// Takes the only file.
    fn find_artifact(&mut self) {
        let (mut entries, mut files, mut found) = (0, 0, path(&[]));
        self.each(|name| {
            entries += 1;
            if self.kind(name) == Kind::File {
                files += 1;
                found = path(&[name.bytes()]);
            }
        });
        let mut message = failure();
        message.name(self.source.bytes());
        if entries == 0 {
            message.text(b" is empty: there is nothing to place; put the program there").end(1);
        } else if files == 0 {
            message
                .text(b" holds no file, only directories or links: put the program itself there, ")
                .text(b"not its directory")
                .end(1);
        } else if files > 1 {
            message.text(b" holds several files that could be the program:\n");
            self.list_files(&mut message);
            message.text(b"name the one with B2I_ARTIFACT").end(1);
        }
        self.artifact = found;
    }

    /// Lists the files in the order of a shell's pattern: by bytes, names with a leading dot last. Each pass finds the
    /// next name, so no memory is needed.
    fn list_files(&self, message: &mut Output) {
        fn rank(name: &[u8]) -> (usize, &[u8]) {
            (name.iter().take(2).take_while(|byte| **byte == b'.').count(), name)
        }
        let mut last: Option<Path> = None;
        for listed in 0..=LISTED_NAMES {
            let mut next: Option<Path> = None;
            self.each(|name| {
                let key = rank(name.bytes());
                let later = last.as_ref().map_or(true, |last| key > rank(last.bytes()));
                let first = next.as_ref().map_or(true, |next| key < rank(next.bytes()));
                if later && first && self.kind(name) == Kind::File {
                    next = Some(path(&[name.bytes()]));
                }
            });
            match &next {
                None => return,
                Some(_) if listed == LISTED_NAMES => message.text(b"  and more\n"),
                Some(name) => message.text(b"  ").name(name.bytes()).text(b"\n"),
            };
            last = next;
        }
    }

    /// Takes the file that B2I_ARTIFACT names, relative to the source directory and inside it.
    fn take_named(&mut self, name: &[u8]) {
        if name.split(|byte| *byte == b'/').any(|step| matches!(step, b"" | b"." | b"..")) {
            failure().text(b"B2I_ARTIFACT must be a plain path inside ").name(self.source.bytes()).end(2);
        }
        let mut step = name;
        loop {
            if self.kind(path(&[step]).text()) == Kind::Link {
                failure()
                    .name(step)
                    .text(b" in ")
                    .name(self.source.bytes())
                    .text(b" is a symbolic link; B2I_ARTIFACT must name a file")
                    .end(1);
            }
            match step.iter().rposition(|byte| *byte == b'/') {
                Some(slash) => step = step.get(..slash).unwrap_or(b""),
                None => break,
            }
        }
        self.artifact = path(&[name]);
        match self.kind(self.artifact.text()) {
            Kind::File => {}
            Kind::Directory => failure()
                .name(name)
                .text(b" in ")
                .name(self.source.bytes())
                .text(b" is a directory; B2I_ARTIFACT must name a file")
                .end(1),
            _ => failure()
                .text(b"B2I_ARTIFACT names ")
                .name(name)
                .text(b", but ")
                .name(self.source.bytes())
                .text(b" has no such file")
                .end(1),
        }
    }

    /// Places the artifact and everything else, and tidies up.
    pub(crate) fn place(&self) -> ! {
        let binary = Text(b"binary\0");
        if self.artifact.bytes() != binary.bytes() && self.kind(binary) != Kind::Absent {
            failure()
                .name(self.source.bytes())
                .text(b" holds something else named binary, which is the name that ")
                .name(self.artifact.bytes())
                .text(b" gets: rename it")
                .end(1);
        }
        let target = match system::make_directories(&self.directory) {
            Ok(fd) => fd,
            Err(error) => failure().text(b"cannot make ").name(self.directory.bytes()).because(error, 3),
        };
        let placed = path(&[self.directory.bytes(), b"/binary"]);
        if system::status(target, binary, false).map_or(false, |status| status.kind == Kind::Directory) {
            failure()
                .name(placed.bytes())
                .text(b" is a directory, the program cannot be placed there")
                .end(1);
        }
        match system::remove_file(target, binary) {
            Ok(()) | Err(Errno::NO_ENTRY) => {}
            Err(error) => failure().text(b"cannot replace ").name(placed.bytes()).because(error, 3),
        }
        let beside = if self.artifact.bytes().contains(&b'/') {
            self.place_tree(target, &placed)
        } else {
            self.place_file(target, &placed)
        };
        for rest in [self.source, path(&[self.destination, b"/scripts"])] {
            // The removal fails if this user has no right to it, or if scripts were uploaded there.
            let _ = system::remove_directory(system::HERE, rest.text());
        }
        let mut message = failure();
        message.to = 1;
        message.name(placed.bytes()).text(b" is ").name(self.artifact.bytes());
        if beside > 0 {
            message.text(b"\nassemble: ").number(beside).text(b" more placed beside it");
        }
        message.end(0)
    }

    /// Places an artifact that is at the top of the upload. Returns the number of entries beside it.
    fn place_file(&self, target: Fd, placed: &Path) -> usize {
        let binary = Text(b"binary\0");
        if let Err(error) = relocate(self.source_fd, self.artifact.text(), target, binary, 0) {
            failure()
                .text(b"cannot move ")
                .name(self.artifact.bytes())
                .text(b" to ")
                .name(placed.bytes())
                .because(error, 3);
        }
        if let Err(error) = system::change_mode(target, binary, 0o755) {
            failure().text(b"cannot make ").name(placed.bytes()).text(b" executable").because(error, 3);
        }
        self.move_others(target)
    }

    /// Places an artifact in a directory. It keeps its place and its name there, and `binary` is a link to it. So it
    /// finds its neighbours.
    fn place_tree(&self, target: Fd, placed: &Path) -> usize {
        if let Err(error) = system::change_mode(self.source_fd, self.artifact.text(), 0o755) {
            failure()
                .text(b"cannot make ")
                .name(self.artifact.bytes())
                .text(b" executable")
                .because(error, 3);
        }
        let moved = self.move_others(target);
        if let Err(error) = system::make_link(self.artifact.text(), target, Text(b"binary\0")) {
            failure()
                .text(b"cannot link ")
                .name(placed.bytes())
                .text(b" to ")
                .name(self.artifact.bytes())
                .because(error, 3);
        }
        moved.saturating_sub(1)
    }

    /// Moves all other entries, and returns their number.
    fn move_others(&self, target: Fd) -> usize {
        let mut moved = 0;
        let others = drain(self.source_fd, &mut |name| {
            if let Err(error) = relocate(self.source_fd, name, target, name, 0) {
                failure()
                    .text(b"cannot move ")
                    .name(name.bytes())
                    .text(b" to ")
                    .name(self.directory.bytes())
                    .because(error, 3);
            }
            moved += 1;
            Ok(())
        });
        if let Err(error) = others {
            failure().text(b"cannot read ").name(self.source.bytes()).because(error, 3);
        }
        moved
    }
}

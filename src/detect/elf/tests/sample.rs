//! Writes small ELF files for tests, in both word sizes and byte orders.

/// A description of an ELF file; the default is a dynamic x86-64 program without needs.
pub(crate) struct Elf {
    pub(crate) wide: bool,
    pub(crate) big: bool,
    pub(crate) os_abi: u8,
    pub(crate) file_type: u16,
    pub(crate) machine: u16,
    pub(crate) entry: u64,
    pub(crate) interpreter: Option<&'static str>,
    pub(crate) needed: Vec<&'static str>,
    pub(crate) soname: Option<&'static str>,
    pub(crate) run_path: Option<&'static str>,
    pub(crate) flags_1: Option<u64>,
    /// Versions needed of libc.so.6, and whether each is weak.
    pub(crate) versions: Vec<(&'static str, bool)>,
    /// Sections by name, type and content.
    pub(crate) sections: Vec<(&'static str, u32, Vec<u8>)>,
    /// The owner of a note.
    pub(crate) note: Option<&'static str>,
}

impl Default for Elf {
    fn default() -> Self {
        Self {
            wide: true,
            big: false,
            os_abi: 0,
            file_type: 3,
            machine: 62,
            entry: 0x1000,
            interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
            needed: Vec::new(),
            soname: None,
            run_path: None,
            flags_1: None,
            versions: Vec::new(),
            sections: Vec::new(),
            note: None,
        }
    }
}

/// The address at which byte 0 of the file is loaded.
const BASE: u64 = 0x40_0000;

impl Elf {
    fn number(&self, value: u64, length: usize) -> Vec<u8> {
        match self.big {
            true => value.to_be_bytes()[8 - length..].to_vec(),
            false => value.to_le_bytes()[..length].to_vec(),
        }
    }

    fn word(&self, value: u64) -> Vec<u8> {
        self.number(value, if self.wide { 8 } else { 4 })
    }

    /// Writes the file: header, content, section table, and the program headers last.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let header_size = if self.wide { 64 } else { 52 };
        let mut file = vec![0; header_size];
        let mut segments: Vec<(u32, u32, u64, u64)> = Vec::new();
        if let Some(path) = self.interpreter {
            segments.push((3, 4, file.len() as u64, path.len() as u64 + 1));
            file.extend(path.as_bytes());
            file.push(0);
        }
        if let Some(owner) = self.note {
            segments.push((4, 4, file.len() as u64, 12 + owner.len().next_multiple_of(4) as u64));
            for value in [owner.len() as u64, 0, 1] {
                file.extend(self.number(value, 4));
            }
            file.extend(owner.as_bytes());
            file.resize(file.len() + owner.len().next_multiple_of(4) - owner.len(), 0);
        }
        if let Some((at, length)) = self.append_dynamic(&mut file) {
            segments.push((2, 6, at, length));
        }
        let (sections_at, section_count) = self.append_sections(&mut file);
        let segments_at = file.len() as u64;
        let segment_size = if self.wide { 56 } else { 32 };
        let end = segments_at + segment_size * (segments.len() as u64 + 1);
        segments.insert(0, (1, 6, 0, end));
        for (kind, flags, at, length) in &segments {
            file.extend(self.segment(*kind, *flags, *at, *length));
        }
        let header = self.header(segments_at, segments.len() as u64, sections_at, section_count);
        file[..header_size].copy_from_slice(&header);
        file
    }

    fn header(&self, segments_at: u64, segments: u64, sections_at: u64, sections: u64) -> Vec<u8> {
        let mut header = b"\x7fELF".to_vec();
        header.extend([1 + u8::from(self.wide), 1 + u8::from(self.big), 1, self.os_abi]);
        header.resize(16, 0);
        header.extend(self.number(self.file_type.into(), 2));
        header.extend(self.number(self.machine.into(), 2));
        header.extend(self.number(1, 4));
        for value in [self.entry, segments_at, sections_at] {
            header.extend(self.word(value));
        }
        header.extend(self.number(0, 4));
        let (own, segment, section) = if self.wide { (64, 56, 64) } else { (52, 32, 40) };
        for value in [own, segment, segments, section, sections, sections.saturating_sub(1)] {
            header.extend(self.number(value, 2));
        }
        header
    }

    fn segment(&self, kind: u32, flags: u32, at: u64, length: u64) -> Vec<u8> {
        let (kind, flags) = (self.number(kind.into(), 4), self.number(flags.into(), 4));
        let words: Vec<u8> =
            [at, BASE + at, BASE + at, length, length].iter().flat_map(|value| self.word(*value)).collect();
        match self.wide {
            true => [kind, flags, words, self.word(0x1000)].concat(),
            false => [kind, words, flags, self.word(0x1000)].concat(),
        }
    }

    /// Appends strings, version needs and the dynamic section; returns where that is.
    fn append_dynamic(&self, file: &mut Vec<u8>) -> Option<(u64, u64)> {
        let mut strings = vec![0];
        let mut string = |value: &str| {
            let at = strings.len() as u64;
            strings.extend(value.as_bytes());
            strings.push(0);
            at
        };
        let mut tags: Vec<(u64, u64)> = Vec::new();
        tags.extend(self.needed.iter().map(|name| (1, string(name))));
        tags.extend(self.soname.iter().map(|name| (14, string(name))));
        tags.extend(self.run_path.iter().map(|path| (29, string(path))));
        tags.extend(self.flags_1.map(|flags| (0x6fff_fffb, flags)));
        let libc = string("libc.so.6");
        let versions: Vec<(u64, bool)> =
            self.versions.iter().map(|(name, weak)| (string(name), *weak)).collect();
        if tags.is_empty() && versions.is_empty() {
            return None;
        }
        tags.push((5, BASE + file.len() as u64));
        file.extend(&strings);
        if !versions.is_empty() {
            tags.push((0x6fff_fffe, BASE + file.len() as u64));
            file.extend(self.number(1, 2));
            file.extend(self.number(versions.len() as u64, 2));
            for value in [libc, 16, 0] {
                file.extend(self.number(value, 4));
            }
            for (index, (name, weak)) in versions.iter().enumerate() {
                file.extend(self.number(0, 4));
                file.extend(self.number(if *weak { 2 } else { 0 }, 2));
                file.extend(self.number(2, 2));
                file.extend(self.number(*name, 4));
                file.extend(self.number(if index + 1 < versions.len() { 16 } else { 0 }, 4));
            }
        }
        let at = file.len() as u64;
        tags.push((0, 0));
        for (tag, value) in tags {
            file.extend(self.word(tag));
            file.extend(self.word(value));
        }
        Some((at, file.len() as u64 - at))
    }

    /// Appends the sections, their names and their table; returns where the table is and its length.
    fn append_sections(&self, file: &mut Vec<u8>) -> (u64, u64) {
        if self.sections.is_empty() {
            return (0, 0);
        }
        let mut names = vec![0];
        let mut table = vec![(0, 0, 0, 0)];
        for (name, kind, content) in &self.sections {
            table.push((names.len() as u64, *kind, file.len() as u64, content.len() as u64));
            names.extend(name.as_bytes());
            names.push(0);
            file.extend(content);
        }
        table.push((0, 3, file.len() as u64, names.len() as u64));
        file.extend(&names);
        let at = file.len() as u64;
        for (name, kind, offset, size) in &table {
            file.extend(self.number(*name, 4));
            file.extend(self.number((*kind).into(), 4));
            file.extend([self.word(0), self.word(0), self.word(*offset), self.word(*size)].concat());
            file.extend([self.number(0, 8), self.word(1), self.word(0)].concat());
        }
        (at, table.len() as u64)
    }
}

//! Owns finding the command's user in the image's account files, as Docker does. Must not read files.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

impl Account {
    pub(super) fn root() -> Self {
        Self { uid: 0, gid: 0, groups: Vec::new(), home: "/root".to_owned() }
    }
}

/// Most further groups; the kernel allows 65536.
const MAXIMUM_GROUPS: usize = 256;

/// Finds `user[:group]`, names or numbers. A number needs no entry. The error is the missing name.
pub(super) fn resolve(text: &str, passwd: &str, group: &str) -> Result<Account, String> {
    let (user, group_name) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    let line = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find_map(|fields| {
        let (uid, gid) = (fields.get(2)?.parse::<u32>().ok()?, fields.get(3)?.parse::<u32>().ok()?);
        (fields[0] == user || number == Some(uid))
            .then(|| (fields[0].to_owned(), uid, gid, fields.get(5).copied().unwrap_or_default().to_owned()))
    });
    let (name, uid, gid, home) = match (line, number) {
        (Some((name, uid, gid, home)), _) => (Some(name), uid, gid, home),
        // As in all containers, a number without an entry has group 0.
        (None, Some(uid)) => (None, uid, 0, String::new()),
        (None, None) if user == "root" => (None, 0, 0, "/root".to_owned()),
        (None, None) => return Err(user.to_owned()),
    };
    let mut account =
        Account { uid, gid, groups: Vec::new(), home: if home.is_empty() { "/".to_owned() } else { home } };
    match group_name.filter(|group| !group.is_empty()) {
        Some(name) => account.gid = group_number(name, group)?,
        None => account.groups = name.map(|name| groups_of(&name, group)).unwrap_or_default(),
    }
    Ok(account)
}

fn group_number(name: &str, group: &str) -> Result<u32, String> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let fields = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut named = fields.filter(|fields| fields[0] == name);
    named.find_map(|fields| fields.get(2)?.parse().ok()).ok_or_else(|| format!(":{name}"))
}

fn groups_of(name: &str, group: &str) -> Vec<u32> {
    let fields = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let with =
        fields.filter(|fields| fields.get(3).is_some_and(|members| members.split(',').any(|m| m == name)));
    with.filter_map(|fields| fields.get(2)?.parse().ok()).take(MAXIMUM_GROUPS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1001:0::/opt/app-root:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nusers:x:100:app,other\nmore:x:200:app\n";

    #[test]
    fn names_and_numbers_are_found_as_docker_finds_them() {
        for (text, uid, gid, groups, home) in [
            ("", 0, 0, &[][..], "/root"),
            ("root", 0, 0, &[], "/root"),
            ("app", 1001, 0, &[100, 200], "/opt/app-root"),
            ("1001", 1001, 0, &[100, 200], "/opt/app-root"),
            ("1001:0", 1001, 0, &[], "/opt/app-root"),
            ("app:users", 1001, 100, &[], "/opt/app-root"),
            ("4242", 4242, 0, &[], "/"),
            ("4242:7", 4242, 7, &[], "/"),
        ] {
            let account = resolve(text, PASSWD, GROUP).expect(text);
            assert_eq!(
                (account.uid, account.gid, &*account.groups, &*account.home),
                (uid, gid, groups, home)
            );
        }
        assert_eq!(resolve("nobody", PASSWD, GROUP), Err("nobody".into()));
        assert_eq!(resolve("app:wheel", PASSWD, GROUP), Err(":wheel".into()));
        assert_eq!(resolve("root", "", "").expect("always there").uid, 0);
        assert!(resolve("-1", PASSWD, GROUP).is_err() && resolve("4294967296", PASSWD, GROUP).is_err());
    }
}

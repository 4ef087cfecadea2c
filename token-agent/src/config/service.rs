//! `[[service]]`: what is guarded.

use super::choice::choose;
use super::clash::Clashes;
use super::credential;
use super::listen::{Listen, ListenAddress};
use super::problem::{Invalid, quote};
use super::report::{At, Place, Report};
use super::table::Table;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    pub name: String,
    /// At least one; the most specific one wins.
    pub listen: Vec<Listen>,
    /// The field that carries the token, in lower case.
    pub header: String,
    /// What precedes the token in the field; empty for a bare one.
    pub scheme: String,
    pub mode: Mode,
    pub on_deny: OnDeny,
    pub existing_connections: ExistingConnections,
    /// Whether a PROXY protocol header comes first on every connection.
    pub proxy_protocol: bool,
    /// Whether a connection's first request may upgrade it to `websocket`.
    pub websocket: bool,
    /// Whether a connection's first request may be a `CONNECT`.
    pub connect: bool,
    /// Whether a GET or HEAD may have a body.
    pub body_on_get: bool,
}

/// What becomes of connections that are older than the guard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExistingConnections {
    /// Those on which nothing was received yet go on, and are judged; the others are closed.
    Adopt,
    /// They are reset, at both ends.
    Close,
    /// They are left alone; the guard passes nothing on them.
    Drop,
}

/// Whether a verdict has consequences.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    Enforce,
    /// Passes everything, and counts what it would deny.
    Monitor,
}

/// What becomes of a denied request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnDeny {
    /// It vanishes.
    Drop,
}

/// How many services the kernel can tell apart.
const MOST_SERVICES: usize = 65_535;

/// Every service; `complete` says that no file was left out, so what is not written is missing.
pub(super) fn read_all(
    tables: Vec<Table<'_>>,
    complete: bool,
    report: &mut Report<'_>,
) -> Vec<Service> {
    if tables.is_empty() && complete {
        let what = Invalid::new("there is no service to guard")
            .help(r#"add [[service]] with, for example, name = "orders" and listen = ["*:8080"]"#);
        report.error(At::place(Place::MAIN), what);
    }
    if let Some(table) = tables.get(MOST_SERVICES) {
        let what = Invalid::new(format!("there can be at most {MOST_SERVICES} services"))
            .help("remove this one and those that follow");
        report.error(table.itself(), what);
    }
    let mut clashes = Clashes::default();
    tables
        .into_iter()
        .map(|table| Service::read(table, &mut clashes, report))
        .collect()
}

impl Service {
    fn read(mut table: Table<'_>, clashes: &mut Clashes, report: &mut Report<'_>) -> Self {
        let name = table
            .required("name", report, name, r#"name = "orders""#)
            .unwrap_or_default();
        if !name.is_empty() {
            table.entitle(&name);
            clashes.name(&name, &table, report);
        }
        let mut listens = Vec::new();
        for (place, listen) in listen(&mut table, report) {
            clashes.listen(listen, &name, table.at("listen").on(place), report);
            listens.push(listen);
        }
        let header = table
            .text("header", report, credential::header)
            .unwrap_or_else(|| credential::AUTHORIZATION.into());
        let scheme = table
            .text("scheme", report, credential::scheme)
            .unwrap_or_else(|| credential::default_scheme(&header).into());
        let service = Self {
            name,
            listen: listens,
            header,
            scheme,
            mode: table
                .text("mode", report, |word| choose(word, &Mode::WORDS))
                .unwrap_or(Mode::Enforce),
            on_deny: table
                .text("on_deny", report, on_deny)
                .unwrap_or(OnDeny::Drop),
            existing_connections: table
                .text("existing_connections", report, |word| {
                    choose(word, &ExistingConnections::WORDS)
                })
                .unwrap_or(ExistingConnections::Close),
            proxy_protocol: one_of(&mut table, "proxy_protocol", ["off", "required"], report)
                .unwrap_or(false),
            websocket: upgrades(&mut table, report),
            connect: one_of(&mut table, "connect", ["deny", "allow"], report).unwrap_or(false),
            body_on_get: one_of(&mut table, "body_on_get", ["deny", "allow"], report)
                .unwrap_or(true),
        };
        table.finish(report);
        service
    }
}

impl Mode {
    const WORDS: [(&str, Self); 2] = [("enforce", Self::Enforce), ("monitor", Self::Monitor)];

    /// The word users write.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Monitor => "monitor",
        }
    }
}

impl ExistingConnections {
    const WORDS: [(&str, Self); 3] = [
        ("close", Self::Close),
        ("drop", Self::Drop),
        ("adopt", Self::Adopt),
    ];

    /// The word users write.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Adopt => "adopt",
            Self::Close => "close",
            Self::Drop => "drop",
        }
    }
}

impl OnDeny {
    /// The word users write.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
        }
    }
}

fn name(text: &str) -> Result<String, Invalid> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_good = (1..=63).contains(&text.len())
        && is_plain(text.as_bytes()[0])
        && text
            .bytes()
            .all(|byte| is_plain(byte) || matches!(byte, b'_' | b'-'));
    if !is_good {
        return Err(
            Invalid::new(format!("{} cannot be a name", quote(text))).help(
                "write 1 to 63 lower-case letters, digits, _ and -, with a letter or digit first",
            ),
        );
    }
    Ok(text.to_owned())
}

fn listen(table: &mut Table<'_>, report: &mut Report<'_>) -> Vec<(Place, Listen)> {
    const KEY: &str = "listen";
    let items = table.list(KEY, report);
    let is_missing = items
        .as_ref()
        .map_or(!table.is_written(KEY), |items| items.is_empty());
    if is_missing {
        let what = Invalid::new("at least one address is needed")
            .help(r#"write, for example, listen = ["*:8080"]"#);
        report.error(table.at(KEY), what);
    }
    let mut listens = Vec::new();
    for item in items.unwrap_or_default() {
        let at = table.at(KEY).on(item.place);
        match item.text().and_then(str::parse::<Listen>) {
            Err(what) => report.error(at, what),
            Ok(listen) => {
                if listen.address == ListenAddress::AnyV4 {
                    let what = Invalid::new(format!("\"{listen}\" guards IPv4 alone"))
                        .help(format!("write \"*:{}\" to guard IPv6, too", listen.port));
                    report.warn(at, what);
                }
                listens.push((item.place, listen));
            }
        }
    }
    listens
}

fn on_deny(word: &str) -> Result<OnDeny, Invalid> {
    if matches!(word, "reset" | "respond") {
        return Err(
            Invalid::new("answers are not built in this version").help(r#"write on_deny = "drop""#)
        );
    }
    choose(word, &[("drop", OnDeny::Drop)])
}

/// A choice of two words, of which the second one means yes.
fn one_of(
    table: &mut Table<'_>,
    key: &'static str,
    [no, yes]: [&str; 2],
    report: &mut Report<'_>,
) -> Option<bool> {
    table.text(key, report, |word| {
        choose(word, &[(no, false), (yes, true)])
    })
}

/// Whether `websocket` is among the upgrades: there is no other.
fn upgrades(table: &mut Table<'_>, report: &mut Report<'_>) -> bool {
    const KEY: &str = "upgrade";
    let mut websocket = false;
    for item in table.list(KEY, report).unwrap_or_default() {
        match item.text().and_then(upgrade) {
            Ok(()) => websocket = true,
            Err(what) => report.error(table.at(KEY).on(item.place), what),
        }
    }
    websocket
}

fn upgrade(protocol: &str) -> Result<(), Invalid> {
    if matches!(protocol, "h2c" | "h2") {
        return Err(Invalid::new(format!(
            "{} is never supported: requests of HTTP/2 cannot be judged",
            quote(protocol)
        ))
        .help("remove it, and let clients speak HTTP/1.1"));
    }
    choose(protocol, &[("websocket", ())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_short() {
        let longest = "a".repeat(63);
        for good in ["a", "0", "orders", "a-b_c", &longest] {
            assert_eq!(name(good), Ok(good.to_owned()));
        }
        let too_long = "a".repeat(64);
        for bad in ["", "-a", "_a", "A", "a b", "a.b", "é", &too_long] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}

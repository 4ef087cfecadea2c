//! Whole files, and what users are told about them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

mod merging;
mod messages;
mod syntax;

/// The smallest file that works, to which a case adds its lines from line 6 on.
const SMALLEST: &str = "\
[datapath]
interfaces = [\"eth0\"]
[[service]]
name = \"orders\"
listen = [\"*:8080\"]
";

/// A directory with a `config.toml` and what belongs to it.
struct Files(TempDir);

impl Files {
    fn new(main: &str) -> Self {
        Self(TempDir::new().unwrap()).with("config.toml", main)
    }

    fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Loaded, ConfigErrors> {
        load(&self.path("config.toml"))
    }

    /// What is told, with the directory left out of the paths.
    fn told(&self, problems: &[Problem]) -> Vec<String> {
        let directory = format!("{}/", self.0.path().display());
        let told = problems.iter().map(Problem::to_string);
        told.map(|text| text.replace(&directory, "")).collect()
    }

    fn errors(&self) -> Vec<String> {
        match self.load() {
            Ok(loaded) => panic!("no error, but {loaded:?}"),
            Err(ConfigErrors(problems)) => self.told(&problems),
        }
    }

    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|errors| panic!("{errors}"))
    }
}

pub(super) fn config(main: &str) -> Config {
    Files::new(main).loaded().config
}

/// What `load` tells of the smallest file with more lines.
#[track_caller]
fn assert_errors(more: &str, expected: &[&str]) {
    let errors = Files::new(&format!("{SMALLEST}{more}")).errors();
    assert_eq!(errors, expected, "{more}");
}

fn facing_the_client(patterns: &[&str]) -> Interfaces {
    let patterns = patterns.iter().map(|pattern| pattern.parse().unwrap());
    Interfaces::new(patterns.map(|pattern| (pattern, Facing::Client)))
}

#[test]
fn the_smallest_file_gets_every_default() {
    const DAY: Duration = Duration::from_secs(86_400);

    let loaded = Files::new(SMALLEST).loaded();
    assert_eq!(loaded.warnings, []);
    assert_eq!(
        loaded.config,
        Config {
            agent: Agent {
                state_dir: "/var/lib/token-agent".into(),
                socket: "/run/token-agent/control.sock".into(),
                pin_dir: "/sys/fs/bpf/token-agent".into(),
                log: "info".into(),
            },
            control: Control {
                group: "token-agent".into(),
                group_is_default: true,
            },
            datapath: Datapath {
                interfaces: facing_the_client(&["eth0"]),
                hook: Hook::Auto,
                max_tokens: 65_536,
                max_flows: 65_536,
                max_flows_per_source: 32_768,
                unacked_buffers: 8_192,
            },
            tokens: Tokens {
                prefix: "tka".into(),
                default_ttl: DAY,
                max_ttl: DAY * 90,
                retain: DAY * 7,
                foreign_ttl: DAY * 30,
            },
            services: vec![Service {
                name: "orders".into(),
                listen: vec!["*:8080".parse().unwrap()],
                header: "authorization".into(),
                scheme: "Bearer".into(),
                mode: Mode::Enforce,
                on_deny: OnDeny::Drop,
                existing_connections: ExistingConnections::Close,
                proxy_protocol: false,
                websocket: false,
                connect: false,
                body_on_get: true,
            }],
            metrics: Metrics {
                listen: Some("127.0.0.1:9977".parse().unwrap()),
            },
        }
    );
}

#[test]
fn every_supported_key_is_read() {
    let config = config(
        r#"
[agent]
state_dir = "/srv/state"
socket = "/srv/socket"
pin_dir = "/srv/bpf"
log = "warn,token_agent=debug"
[control]
group = "domain admins"
[datapath]
interfaces = ["eth0", { name = "br-*" }, { name = "lo", facing = "client" }]
hook = "xdp-generic"
max_tokens = 16_777_216
max_flows = 0x40_0000
max_flows_per_source = 4_194_304
unacked_buffers = 64
[tokens]
prefix = "a1"
default_ttl = "90m"
max_ttl = "90m"
retain = "0s"
foreign_ttl = "1s"
[[service]]
name = "0-a_b"
listen = ["10.0.0.5:80", "[2001:db8::1]:80"]
header = "x-api-key"
mode = "monitor"
on_deny = "drop"
[[service]]
name = "b"
listen = ["10.0.0.5:81"]
header = "x-api-key"
scheme = "Key"
[[service]]
name = "c"
listen = ["10.0.0.5:82"]
scheme = ""
existing_connections = "drop"
proxy_protocol = "required"
upgrade = ["websocket", "websocket"]
connect = "allow"
body_on_get = "deny"
[metrics]
listen = ""
"#,
    );
    assert_eq!(config.agent.state_dir, PathBuf::from("/srv/state"));
    assert_eq!(config.agent.socket, PathBuf::from("/srv/socket"));
    assert_eq!(config.agent.pin_dir, PathBuf::from("/srv/bpf"));
    assert_eq!(config.agent.log, "warn,token_agent=debug");
    assert_eq!(config.control.group, "domain admins");
    assert!(!config.control.group_is_default);
    assert_eq!(
        config.datapath.interfaces,
        facing_the_client(&["eth0", "br-*", "lo"])
    );
    assert_eq!(config.datapath.hook, Hook::XdpGeneric);
    assert_eq!(config.datapath.max_tokens, 16_777_216);
    assert_eq!(config.datapath.max_flows, 4_194_304);
    assert_eq!(config.datapath.max_flows_per_source, 4_194_304);
    assert_eq!(config.datapath.unacked_buffers, 64);
    assert_eq!(config.tokens.prefix, "a1");
    assert_eq!(config.tokens.default_ttl, Duration::from_secs(5_400));
    assert_eq!(config.tokens.max_ttl, Duration::from_secs(5_400));
    assert_eq!(config.tokens.retain, Duration::ZERO);
    assert_eq!(config.tokens.foreign_ttl, Duration::from_secs(1));
    let [a, b, c] = config.services.as_slice() else {
        panic!("{:?}", config.services);
    };
    assert_eq!(a.name, "0-a_b");
    assert_eq!(a.listen.len(), 2);
    assert_eq!((a.header.as_str(), a.scheme.as_str()), ("x-api-key", ""));
    assert_eq!(a.mode, Mode::Monitor);
    assert_eq!((b.header.as_str(), b.scheme.as_str()), ("x-api-key", "Key"));
    assert_eq!(
        (c.header.as_str(), c.scheme.as_str()),
        ("authorization", "")
    );
    assert!(!b.proxy_protocol && !b.websocket && !b.connect && b.body_on_get);
    assert!(c.proxy_protocol && c.websocket && c.connect && !c.body_on_get);
    assert_eq!(config.metrics.listen, None);
}

#[test]
fn each_word_stands_for_itself() {
    for hook in [
        Hook::Auto,
        Hook::Clsact,
        Hook::Tc,
        Hook::Xdp,
        Hook::XdpGeneric,
    ] {
        let main = SMALLEST.replace("[[", &format!("hook = \"{}\"\n[[", hook.as_str()));
        assert_eq!(config(&main).datapath.hook, hook);
    }
    for mode in [Mode::Enforce, Mode::Monitor] {
        let main = format!("{SMALLEST}mode = \"{}\"", mode.as_str());
        assert_eq!(config(&main).services[0].mode, mode);
    }
    for existing in [
        ExistingConnections::Adopt,
        ExistingConnections::Close,
        ExistingConnections::Drop,
    ] {
        let word = existing.as_str();
        let main = format!("{SMALLEST}existing_connections = \"{word}\"");
        assert_eq!(config(&main).services[0].existing_connections, existing);
    }
    for facing in [Facing::Client, Facing::Service] {
        let word = facing.as_str();
        let entry = format!("{{ name = \"eth0\", facing = \"{word}\" }}");
        let interfaces = config(&SMALLEST.replace("\"eth0\"", &entry))
            .datapath
            .interfaces;
        assert_eq!(interfaces.facing("eth0"), Some(facing));
    }
}

#[test]
fn one_source_may_have_half_of_the_connections() {
    for (max_flows, of_one) in [(1, 1), (3, 1), (1_000, 500)] {
        let main = SMALLEST.replace("[[", &format!("max_flows = {max_flows}\n[["));
        assert_eq!(config(&main).datapath.max_flows_per_source, of_one);
    }
}

#[test]
fn what_this_version_does_anyway_may_be_written() {
    let plain = config(SMALLEST);
    let config = config(&format!(
        r#"{SMALLEST}
accept = "any"
unknown = "deny"
missing = "deny"
unmatched = "token"
max_age = "0s"
max_staleness = "0s"
on_revoke = "keep"
[tokens]
accept_prefixes = []
[hash_key]
file = ""
[throttle]
rate = "0/s"
[fleet]
role = "none"
"#
    ));
    assert_eq!(config, plain);
}

#[test]
fn the_most_specific_address_may_be_another_service() {
    let config = config(&format!(
        "{SMALLEST}[[service]]\nname = \"one\"\nlisten = [\"10.0.0.5:8080\", \"[::1]:8080\", \"*:8081\"]\n"
    ));
    assert_eq!(config.services.len(), 2);
}

#[test]
fn warnings_do_not_keep_a_file_from_being_used() {
    let files = Files::new(
        "[datapath]\ninterfaces = [\"eth0\", \"lo\",\n\"eth0\"]\n[[service]]\nname = \"a\"\nlisten = [\n\"0.0.0.0:80\"]\n",
    );
    let loaded = files.loaded();
    assert_eq!(
        files.told(&loaded.warnings),
        [
            "config.toml:3: [datapath] interfaces: \"eth0\" is named twice; remove one",
            "config.toml:7: [service \"a\"] listen: \"0.0.0.0:80\" guards IPv4 alone; \
             write \"*:80\" to guard IPv6, too",
        ]
    );
    assert_eq!(
        loaded.config.datapath.interfaces,
        facing_the_client(&["eth0", "lo"])
    );
}

#[test]
fn the_examples_of_the_reference_work() {
    let reference = include_str!("../../../docs/configuration.md");
    let examples: Vec<_> = reference.split("```toml\n").skip(1).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let (main, _) = example.split_once("```").unwrap();
        assert_eq!(Files::new(main).loaded().warnings, []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_file_panics(text in "\\PC*") {
        let _ = Files::new(&text).load();
    }

    /// Pieces that mean something, in any order.
    #[test]
    fn no_order_of_pieces_panics(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24)) {
        let _ = Files::new(&pieces.concat()).load();
    }

    /// Any value for any key.
    #[test]
    fn no_value_panics(key in prop::sample::select(KEYS), value in "\\PC*") {
        let (table, key) = key.split_once(' ').unwrap();
        for value in [format!("{value:?}"), format!("[{value:?}]"), value] {
            let _ = Files::new(&format!("{table}\n{key} = {value}\n")).load();
        }
    }
}

const PIECES: &[&str] = &[
    "[agent]",
    "[datapath]",
    "[[service]]",
    "[service]",
    "[[service.route]]",
    "[tokens",
    "]",
    "[",
    "\n",
    "\n",
    "\n",
    "\r\n",
    "#",
    "=",
    ".",
    ",",
    "{",
    "}",
    "\"",
    "'''",
    "\"\"\"",
    "\\",
    "\u{0}",
    "log = \"info\"\n",
    "name = \"a\"\n",
    "listen = [\"*:80\"]\n",
    "listen",
    "interfaces = [",
    "\"eth0\"",
    "max_flows = ",
    "-1",
    "0x",
    "1e9",
    "1979-05-27",
    "true",
    "é",
];

const KEYS: &[&str] = &[
    "[agent] state_dir",
    "[agent] socket",
    "[agent] log",
    "[control] group",
    "[datapath] interfaces",
    "[datapath] hook",
    "[datapath] max_flows",
    "[tokens] prefix",
    "[tokens] default_ttl",
    "[[service]] name",
    "[[service]] listen",
    "[[service]] header",
    "[[service]] scheme",
    "[[service]] mode",
    "[[service]] upgrade",
    "[[service]] existing_connections",
    "[metrics] listen",
];

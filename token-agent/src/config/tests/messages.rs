//! What is said about a value that cannot be, word by word.

use super::*;

/// The smallest file has five lines, so a case's first is the sixth.
#[test]
fn a_bad_value_is_told_with_its_line_and_what_to_write() {
    for (more, expected) in [
        // [agent]
        (
            "[agent]\nstate_dir = \"state\"\n",
            "config.toml:7: [agent] state_dir: \"state\" is not absolute; write the whole path, from /",
        ),
        (
            "[agent]\npin_dir = \"\"\n",
            "config.toml:7: [agent] pin_dir: \"\" is not absolute; write the whole path, from /",
        ),
        (
            "[agent]\nstate_dir = \"/a\\u0000\"\n",
            "config.toml:7: [agent] state_dir: a path cannot have a NUL byte; remove it",
        ),
        (
            "[agent]\n\nlog = \"inof\"\n",
            "config.toml:8: [agent] log: \"inof\" is no log level or directive; \
             write off, error, warn, info, debug or trace, or directives like \"info,token_agent=debug\"",
        ),
        (
            "[agent]\nlog = \"\"\n",
            "config.toml:7: [agent] log: \"\" is no log level or directive; \
             write off, error, warn, info, debug or trace, or directives like \"info,token_agent=debug\"",
        ),
        (
            "[agent]\nlog = \"info,token_agent=loud\"\n",
            "config.toml:7: [agent] log: \"info,token_agent=loud\" is no log level or directive; \
             write off, error, warn, info, debug or trace, or directives like \"info,token_agent=debug\"",
        ),
        (
            "[agent]\nlog = 5\n",
            "config.toml:7: [agent] log: must be a string, not an integer; write it in quotes",
        ),
        (
            "[agent]\nlog = [\"info\"]\n",
            "config.toml:7: [agent] log: must be a string, not an array",
        ),
        // [control]
        (
            "[control]\ngroup = \"a:b\"\n",
            "config.toml:7: [control] group: \"a:b\" cannot be a group; write a group's name, or remove the key",
        ),
        // [tokens]
        (
            "[tokens]\nprefix = \"T\"\n",
            "config.toml:7: [tokens] prefix: \"T\" cannot be a prefix; write a lower-case letter and 1 to 9 more or digits",
        ),
        (
            "[tokens]\nretain = \"90\"\n",
            "config.toml:7: [tokens] retain: a duration needs a unit; \
             write it like \"90s\", \"15m\", \"24h\" or \"30d\"",
        ),
        (
            "[tokens]\nmax_ttl = 90\n",
            "config.toml:7: [tokens] max_ttl: must be a string, not an integer; write it in quotes",
        ),
        (
            "[tokens]\nforeign_ttl = \"0s\"\n",
            "config.toml:7: [tokens] foreign_ttl: must be more than nothing; write \"1s\" or more",
        ),
        (
            "[tokens]\nmax_ttl = \"1h\"\ndefault_ttl = \"90m\"\n",
            "config.toml:8: [tokens] default_ttl: 90m is longer than max_ttl, 1h; write default_ttl = \"1h\" or less",
        ),
        (
            "[tokens]\nmax_ttl = \"1h\"\n",
            "config.toml:7: [tokens] max_ttl: 1h is shorter than default_ttl, 1d; \
             write default_ttl = \"1h\" or less, too",
        ),
        // [metrics]
        (
            "[metrics]\nlisten = \"9977\"\n",
            "config.toml:7: [metrics] listen: \"9977\" is not an address and a port; \
             write it like \"127.0.0.1:9977\" or \"[::1]:9977\", or \"\" for none",
        ),
        (
            "[metrics]\nlisten = \"127.0.0.1:0\"\n",
            "config.toml:7: [metrics] listen: \"127.0.0.1:0\" is not an address and a port; \
             write it like \"127.0.0.1:9977\" or \"[::1]:9977\", or \"\" for none",
        ),
        // [[service]], which the smallest file leaves open
        (
            "header = \"X-Api-Key\"\n",
            "config.toml:6: [service \"orders\"] header: must be in lower case, which stands for any; write \"x-api-key\"",
        ),
        (
            "header = \"X_Api_Key\"\n",
            "config.toml:6: [service \"orders\"] header: some servers take _ for -, so a name with it is not safe; \
             write \"x-api-key\"",
        ),
        (
            "header = \"x api\"\n",
            "config.toml:6: [service \"orders\"] header: \"x api\" cannot be a header of at most 32 bytes; \
             write a field name like \"authorization\" or \"x-api-key\"",
        ),
        (
            "header = \"content-length\"\n",
            "config.toml:6: [service \"orders\"] header: \"content-length\" frames the request and carries no token; \
             write a field name like \"authorization\" or \"x-api-key\"",
        ),
        (
            "scheme = \"Bearer \"\n",
            "config.toml:6: [service \"orders\"] scheme: \"Bearer \" cannot be a scheme of at most 32 bytes; \
             write one word like \"Bearer\", or \"\" for a bare token",
        ),
        (
            "mode = \"enforced\"\n",
            "config.toml:6: [service \"orders\"] mode: \"enforced\" is not known here; did you mean \"enforce\"?",
        ),
        (
            "on_deny = \"respond\"\n",
            "config.toml:6: [service \"orders\"] on_deny: answers are not built in this version; write on_deny = \"drop\"",
        ),
        (
            "on_deny = \"reset\"\n",
            "config.toml:6: [service \"orders\"] on_deny: answers are not built in this version; write on_deny = \"drop\"",
        ),
        (
            "on_deny = \"ignore\"\n",
            "config.toml:6: [service \"orders\"] on_deny: \"ignore\" is not known here; write \"drop\"",
        ),
        (
            "existing_connections = \"keep\"\n",
            "config.toml:6: [service \"orders\"] existing_connections: \"keep\" is not known here; \
             write one of \"close\", \"drop\", \"adopt\"",
        ),
        (
            "proxy_protocol = \"v2\"\n",
            "config.toml:6: [service \"orders\"] proxy_protocol: \"v2\" is not known here; \
             write one of \"off\", \"required\"",
        ),
        (
            "upgrade = [\"websocket\",\n\"h2c\"]\n",
            "config.toml:7: [service \"orders\"] upgrade: \"h2c\" is never supported: requests of HTTP/2 \
             cannot be judged; remove it, and let clients speak HTTP/1.1",
        ),
        (
            "upgrade = [\"TLS/1.0\"]\n",
            "config.toml:6: [service \"orders\"] upgrade: \"TLS/1.0\" is not known here; write \"websocket\"",
        ),
        (
            "upgrade = \"websocket\"\n",
            "config.toml:6: [service \"orders\"] upgrade: must be an array, not a string; write it in square brackets",
        ),
        (
            "connect = true\n",
            "config.toml:6: [service \"orders\"] connect: must be a string, not a boolean; write it in quotes",
        ),
        (
            "body_on_get = \"alow\"\n",
            "config.toml:6: [service \"orders\"] body_on_get: \"alow\" is not known here; did you mean \"allow\"?",
        ),
        (
            "[[service]]\nlisten = [\"*:1\"]\n",
            "config.toml:6: [service] name: missing; write, for example, name = \"orders\"",
        ),
        (
            "[[service]]\nlisten = [\"*:1\"]\nname = \"Orders\"\n",
            "config.toml:8: [service] name: \"Orders\" cannot be a name; \
             write 1 to 63 lower-case letters, digits, _ and -, with a letter or digit first",
        ),
        (
            "[[service]]\nname = \"b\"\n",
            "config.toml:6: [service \"b\"] listen: at least one address is needed; \
             write, for example, listen = [\"*:8080\"]",
        ),
        (
            "[[service]]\nname = \"b\"\nlisten = []\n",
            "config.toml:8: [service \"b\"] listen: at least one address is needed; \
             write, for example, listen = [\"*:8080\"]",
        ),
        (
            "[[service]]\nname = \"b\"\nlisten = \"*:80\"\n",
            "config.toml:8: [service \"b\"] listen: must be an array, not a string; write it in square brackets",
        ),
        (
            "[[service]]\nname = \"b\"\nlisten = [\n\"*:1\",\n80]\n",
            "config.toml:10: [service \"b\"] listen: must be a string, not an integer; write it in quotes",
        ),
        (
            "[[service]]\nname = \"b\"\nlisten = [\n\"*:1\",\n\"localhost:80\"]\n",
            "config.toml:10: [service \"b\"] listen: \"localhost:80\" has no IP address or *; \
             write it like \"10.0.0.5:8080\", \"[2001:db8::1]:8080\" or \"*:8080\"",
        ),
        (
            "[[service]]\nname = \"b\"\nlisten = [\"[::]:8080\"]\n",
            "config.toml:8: [service \"b\"] listen: \"*:8080\" is already guarded by \"*:8080\" \
             of service \"orders\" at config.toml:5; remove one of the two",
        ),
        (
            "[[service]]\nname = \"b\"\nlisten = [\"10.0.0.5:80\",\n\"[::ffff:10.0.0.5]:80\"]\n",
            "config.toml:9: [service \"b\"] listen: \"10.0.0.5:80\" is already guarded by \"10.0.0.5:80\" \
             of service \"b\" at config.toml:8; remove one of the two",
        ),
        (
            "[[service]]\nname = \"orders\"\nlisten = [\"*:1\"]\n",
            "config.toml:7: [service \"orders\"] name: already the name of the service at config.toml:4; \
             write another name",
        ),
        // Tables
        (
            "[service.extra]\n",
            "config.toml:6: [service \"orders\"] extra: unknown key; \
             the keys here are name, listen, header, scheme, mode, on_deny, existing_connections, \
             proxy_protocol, upgrade, connect, body_on_get, accept, max_age, max_staleness, missing, on_revoke, \
             unknown, unmatched",
        ),
        (
            "heder = \"x-api-key\"\n",
            "config.toml:6: [service \"orders\"] heder: unknown key; did you mean header?",
        ),
        (
            "\"\\u001b[2J\" = 1\n[agent]\n",
            "config.toml:6: [service \"orders\"] \"\\u{1b}[2J\": unknown key; \
             the keys here are name, listen, header, scheme, mode, on_deny, existing_connections, \
             proxy_protocol, upgrade, connect, body_on_get, accept, max_age, max_staleness, missing, on_revoke, \
             unknown, unmatched",
        ),
        (
            "[agnet]\nlog = \"info\"\n",
            "config.toml:6: [agnet]: unknown table; did you mean [agent]?",
        ),
        (
            "[[services]]\nname = \"b\"\n",
            "config.toml:6: [services]: unknown table; did you mean [[service]]?",
        ),
        (
            "[database]\n",
            "config.toml:6: [database]: unknown table; the tables are [agent], [control], [datapath], [tokens], \
             [[service]], [metrics], [fleet], [hash_key], [throttle]",
        ),
        (
            "[[agent]]\n",
            "config.toml:6: [agent]: must be a table, not an array; write [agent] on a line of its own, above its keys",
        ),
    ] {
        assert_errors(more, &[expected]);
    }
}

#[test]
fn the_datapath_needs_an_interface_it_can_use() {
    const SERVICE: &str = "[[service]]\nname = \"a\"\nlisten = [\"*:80\"]\n";
    let name = "; write a name as `ip link` shows it, or a pattern like \"veth*\"";
    for (datapath, expected) in [
        (
            "",
            "config.toml: [datapath] interfaces: at least one interface is needed; \
             write, for example, interfaces = [\"eth0\"]"
                .to_owned(),
        ),
        (
            "[datapath]\nhook = \"tc\"\n",
            "config.toml:4: [datapath] interfaces: at least one interface is needed; \
             write, for example, interfaces = [\"eth0\"]"
                .to_owned(),
        ),
        (
            "[datapath]\ninterfaces = []\n",
            "config.toml:5: [datapath] interfaces: at least one interface is needed; \
             write, for example, interfaces = [\"eth0\"]"
                .to_owned(),
        ),
        (
            "[datapath]\ninterfaces = \"eth0\"\n",
            "config.toml:5: [datapath] interfaces: must be an array, not a string; write it in square brackets"
                .to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\"eth0\",\n\"sixteen_bytes_ab\"]\n",
            format!(
                "config.toml:6: [datapath] interfaces: \"sixteen_bytes_ab\" cannot be an interface: \
                 names have at most 15 bytes{name}"
            ),
        ),
        (
            "[datapath]\ninterfaces = [\"eth 0\"]\n",
            format!("config.toml:5: [datapath] interfaces: \"eth 0\" cannot be an interface: it has ' '{name}"),
        ),
        (
            "[datapath]\nhook = \"xdp\"\ninterfaces = [\"eth0\",\n{ name = \"veth*\", facing = \"service\" }]\n",
            "config.toml:7: [datapath.interfaces] facing: hook = \"xdp\" sees only what comes in, and requests \
             go out to the service here; write hook = \"auto\" or \"tc\""
                .to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\"eth0\",\n{ name = \"eth0\", facing = \"service\" }]\n",
            "config.toml:6: [datapath] interfaces: \"eth0\" faces the service, but \"eth0\" at config.toml:5, \
             which can match the same interface, faces the client; \
             write patterns that have no name in common, or the names themselves"
                .to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [{ name = \"veth*\", facing = \"service\" }, \"veth0\",\n\"*0\"]\n",
            "config.toml:6: [datapath] interfaces: \"*0\" faces the client, but \"veth*\" at config.toml:5, \
             which can match the same interface, faces the service; \
             write patterns that have no name in common, or the names themselves"
                .to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [{ name = \"veth*\", facing = \"clients\" }]\n",
            "config.toml:5: [datapath.interfaces] facing: \"clients\" is not known here; did you mean \"client\"?"
                .to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\n{ facing = \"client\" }]\n",
            "config.toml:6: [datapath.interfaces] name: missing; write, for example, name = \"eth0\"".to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\"lo\"]\nhook = \"skb\"\n",
            "config.toml:6: [datapath] hook: \"skb\" is not known here; \
             write one of \"auto\", \"xdp\", \"xdp-generic\", \"tc\", \"clsact\""
                .to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\"lo\"]\nmax_tokens = 0\n",
            "config.toml:6: [datapath] max_tokens: out of range; write a number from 1 to 16777216".to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\"lo\"]\nmax_flows = 4_194_305\n",
            "config.toml:6: [datapath] max_flows: out of range; write a number from 1 to 4194304".to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\"lo\"]\nmax_flows = -99999999999999999999999999\n",
            "config.toml:6: [datapath] max_flows: out of range; write a number from 1 to 4194304".to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\"lo\"]\nmax_flows = \"10\"\n",
            "config.toml:6: [datapath] max_flows: must be an integer, not a string; write it without quotes"
                .to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\"lo\"]\nunacked_buffers = 63\n",
            "config.toml:6: [datapath] unacked_buffers: out of range; write a number from 64 to 1048576".to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\"lo\"]\nmax_flows = 10\nmax_flows_per_source = 11\n",
            "config.toml:7: [datapath] max_flows_per_source: 11 is more than max_flows, 10; \
             write 10 or less, or a greater max_flows"
                .to_owned(),
        ),
        (
            "[datapath]\ninterfaces = [\"lo\"]\nmax_flow = 10\n",
            "config.toml:6: [datapath] max_flow: unknown key; did you mean max_flows?".to_owned(),
        ),
    ] {
        let errors = Files::new(&format!("{SERVICE}{datapath}")).errors();
        assert_eq!(errors, [expected], "{datapath}");
    }
}

#[test]
fn an_empty_file_is_told_both_things_it_needs() {
    assert_eq!(
        Files::new("").errors(),
        [
            "config.toml: [datapath] interfaces: at least one interface is needed; \
             write, for example, interfaces = [\"eth0\"]",
            "config.toml: there is no service to guard; \
             add [[service]] with, for example, name = \"orders\" and listen = [\"*:8080\"]",
        ]
    );
}

#[test]
fn the_socket_fits_into_its_address() {
    let socket = |length: usize| format!("[agent]\nsocket = \"/{}\"\n", "a".repeat(length - 1));
    config(&format!("{SMALLEST}{}", socket(107)));
    assert_errors(
        &socket(108),
        &[
            "config.toml:7: [agent] socket: a socket's path has at most 107 bytes; write a shorter one",
        ],
    );
}

#[test]
fn there_are_at_most_65535_services() {
    const MESSAGE: &str = "there can be at most 65535 services";
    let services = |count| {
        let ConfigErrors(problems) = Files::new(&"[[service]]\n".repeat(count))
            .load()
            .unwrap_err();
        problems
    };
    assert!(
        services(65_535)
            .iter()
            .all(|problem| problem.message != MESSAGE)
    );
    let problems = services(65_536);
    let limit: Vec<_> = problems
        .iter()
        .filter(|problem| problem.message == MESSAGE)
        .collect();
    assert_eq!(limit.len(), 1);
    assert_eq!(limit[0].line, Some(65_536));
}

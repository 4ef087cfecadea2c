//! Files that are not TOML, or not of the shape expected.

use super::*;

#[test]
fn a_key_above_all_tables_is_told() {
    let errors = Files::new(&format!("log = \"info\"\nagent = 1\n{SMALLEST}")).errors();
    assert_eq!(
        errors,
        [
            "config.toml:1: log: unknown key; the tables are [agent], [control], [datapath], [tokens], \
             [[service]], [metrics], [fleet], [hash_key], [throttle]",
            "config.toml:2: [agent]: must be a table, not an integer; \
             write [agent] on a line of its own, above its keys",
        ]
    );
}

#[test]
fn a_single_service_table_is_read_all_the_same() {
    let errors =
        Files::new("[datapath]\ninterfaces = [\"lo\"]\n[service]\nname = \"A\"\nlisten = []\n")
            .errors();
    assert_eq!(
        errors,
        [
            "config.toml:3: [service]: must be an array of tables, not a table; \
             write [[service]] above the keys of each",
            "config.toml:4: [service] name: \"A\" cannot be a name; \
             write 1 to 63 lower-case letters, digits, _ and -, with a letter or digit first",
            "config.toml:5: [service] listen: at least one address is needed; \
             write, for example, listen = [\"*:8080\"]",
        ]
    );
}

#[test]
fn toml_that_is_none_is_told_with_its_lines() {
    for (main, expected) in [
        (
            "[agent]\nlog = \"info\nsocket = \"/x\"\n[control\n",
            vec![
                "config.toml:2: not valid TOML: invalid basic string, expected `\"`",
                "config.toml:4: not valid TOML: unclosed table, expected `]`",
            ],
        ),
        (
            "a = = 3\n",
            vec!["config.toml:1: not valid TOML: extra `=`, expected nothing"],
        ),
        (
            "\n[agent]\nlog\n",
            vec!["config.toml:3: not valid TOML: key with no value, expected `=`"],
        ),
        (
            "a = [1,\n2\n",
            vec!["config.toml:2: not valid TOML: unclosed array, expected `]`"],
        ),
        (
            // The rest is known, so it is judged.
            "[datapath]\ninterfaces = [\"lo\"]\ninterfaces = [\"lo\"]\nhok = 1\n[datapath]\n\
             [[service]]\nname = \"a\"\nlisten = [\"*:1\"]\n",
            vec![
                "config.toml:3: interfaces: set twice in this file; remove one of the two",
                "config.toml:4: [datapath] hok: unknown key; did you mean hook?",
                "config.toml:5: datapath: set twice in this file; remove one of the two",
            ],
        ),
    ] {
        assert_eq!(Files::new(main).errors(), expected, "{main}");
    }
}

#[test]
fn line_ends_may_be_those_of_other_systems() {
    let main = SMALLEST.replace('\n', "\r\n");
    let errors = Files::new(&format!("\u{feff}{main}mode = 1\r\n")).errors();
    assert_eq!(
        errors,
        [
            "config.toml:6: [service \"orders\"] mode: must be a string, not an integer; write it in quotes"
        ]
    );
}

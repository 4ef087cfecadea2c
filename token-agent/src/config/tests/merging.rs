//! Several files, and the keys of later versions.

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn the_files_of_conf_d_are_added_in_the_order_of_their_names() {
    let files = Files::new("[datapath]\ninterfaces = [\"eth0\"]\n[agent]\nlog = \"warn\"\n")
        .with(
            "conf.d/20-b.toml",
            "[[service]]\nname = \"b\"\nlisten = [\"*:2\"]\n",
        )
        .with(
            "conf.d/10-a.toml",
            "[[service]]\nname = \"a\"\nlisten = [\"*:1\"]\n[agent]\nstate_dir = \"/s\"\n",
        )
        .with("conf.d/.hidden.toml", "nonsense")
        .with("conf.d/30-c.toml.bak", "nonsense")
        .with("conf.d/nested/x.toml", "nonsense");
    let config = files.loaded().config;
    let names = config.services.iter().map(|service| service.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(config.agent.log, "warn");
    assert_eq!(config.agent.state_dir, PathBuf::from("/s"));
}

#[test]
fn what_is_set_twice_is_told_with_both_places() {
    let files = Files::new(&format!("{SMALLEST}[agent]\nlog = \"info\"\n"))
        .with(
            "conf.d/a.toml",
            "[agent]\nlog = \"debug\"\n[datapath]\ninterfaces = [\"eth1\"]\n\
             [[service]]\nname = \"orders\"\nlisten = [\"0.0.0.0:8080\"]\n",
        )
        .with("conf.d/b.toml", "agent.log = \"info\"\n");
    assert_eq!(
        files.errors(),
        [
            "conf.d/a.toml:2: [agent] log: already set at config.toml:7; keep one of the two",
            "conf.d/a.toml:4: [datapath] interfaces: already set at config.toml:2; keep one of the two",
            "conf.d/a.toml:6: [service \"orders\"] name: already the name of the service at config.toml:4; \
             write another name",
            "conf.d/a.toml:7: [service \"orders\"] listen: \"0.0.0.0:8080\" is already guarded by \"*:8080\" \
             of service \"orders\" at config.toml:5; remove one of the two",
            "conf.d/b.toml:1: [agent] log: already set at config.toml:7; keep one of the two",
        ]
    );
}

#[test]
fn every_file_is_told_of_at_once() {
    let files = Files::new("[agent]\nlog = 1\n[datapath\n")
        .with(
            "conf.d/a.toml",
            "[[service]]\nnme = \"a\"\nname = \"a\"\nlisten = [\"*:1\"]\n",
        )
        .with("conf.d/b.toml", b"# fine\n\xff\n")
        .with("conf.d/c.toml", vec![b'#'; 1024 * 1024 + 1])
        .with("conf.d/d.toml/x", "");
    symlink("nowhere", files.path("conf.d/e.toml")).unwrap();
    assert_eq!(
        files.errors(),
        [
            "config.toml:3: not valid TOML: unclosed table, expected `]`",
            "conf.d/a.toml:2: [service \"a\"] nme: unknown key; did you mean name?",
            "conf.d/b.toml:2: not UTF-8; save the file as UTF-8",
            "conf.d/c.toml: the file is larger than 1 MiB; split it into several under conf.d",
            "conf.d/d.toml: not a regular file; write a file there, or remove what is there",
            "conf.d/e.toml: cannot be read: No such file or directory (os error 2)",
        ]
    );
}

#[test]
fn a_file_may_be_as_large_as_the_limit() {
    let padding = "#".repeat(1024 * 1024 - SMALLEST.len());
    config(&format!("{SMALLEST}{padding}"));
}

#[test]
fn a_file_that_is_not_there_is_told_with_what_to_do() {
    let files = Files::new("").with("conf.d/a.toml", "nonsense");
    fs::remove_file(files.path("config.toml")).unwrap();
    assert_eq!(
        files.errors(),
        ["config.toml: there is no such file; \
          create it (one interface and one service are enough) or name another with --config"]
    );
}

#[test]
fn conf_d_that_is_no_directory_is_told() {
    let files = Files::new(SMALLEST).with("conf.d", "");
    assert_eq!(
        files.errors(),
        ["conf.d: cannot be read: Not a directory (os error 20)"]
    );
}

#[test]
fn a_pipe_is_not_waited_for() {
    let files = Files::new(SMALLEST).with("conf.d/a.toml", "");
    fs::remove_file(files.path("conf.d/a.toml")).unwrap();
    nix::unistd::mkfifo(&files.path("conf.d/a.toml"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_eq!(
        files.errors(),
        ["conf.d/a.toml: not a regular file; write a file there, or remove what is there"]
    );
}

#[test]
fn a_key_of_a_later_version_says_what_may_be_written() {
    for (more, expected) in [
        (
            "unknown = \"allow\"\n",
            "config.toml:6: [service \"orders\"] unknown: known, but not supported by this version; \
             remove it, or write unknown = \"deny\"",
        ),
        (
            "max_age = 0\n",
            "config.toml:6: [service \"orders\"] max_age: known, but not supported by this version; \
             remove it, or write max_age = \"0s\"",
        ),
        (
            "[tokens]\naccept_prefixes = [\"old\"]\n",
            "config.toml:7: [tokens] accept_prefixes: known, but not supported by this version; \
             remove it, or write accept_prefixes = []",
        ),
        (
            "realm = \"orders\"\n",
            "config.toml:6: [service \"orders\"] realm: known, but not supported by this version; remove it",
        ),
        (
            "[throttle]\nrate = \"0/s\"\nburst = 50\n",
            "config.toml:8: [throttle] burst: known, but not supported by this version; remove it",
        ),
        (
            "[throttle]\nrate = \"5/s\"\n",
            "config.toml:7: [throttle] rate: known, but not supported by this version; \
             remove it, or write rate = \"0/s\"",
        ),
        (
            "[hash_key]\nfile = \"/k\"\n",
            "config.toml:7: [hash_key] file: known, but not supported by this version; \
             remove it, or write file = \"\"",
        ),
        (
            "[audit]\nnonsense = true\n",
            "config.toml:6: [audit]: known, but not supported by this version; remove it",
        ),
    ] {
        assert_errors(more, &[expected]);
    }
}

/// The whole interface as it is designed, with everything that is still to come.
#[test]
fn the_whole_design_is_told_line_by_line() {
    let main = include_str!("design.toml");
    let told = Files::new(main).errors();
    // In the file each line that cannot be honoured ends in this.
    let expected: Vec<_> = (1..)
        .zip(main.lines())
        .filter(|(_, line)| line.ends_with("# later"))
        .map(|(number, _)| number)
        .collect();
    let lines: Vec<usize> = told
        .iter()
        .map(|problem| problem.split(':').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(lines, expected, "{told:#?}");
    for problem in &told {
        let is_known = problem.contains("known, but not supported by this version; remove it")
            || problem.contains("not built in this version; write on_deny");
        assert!(is_known, "{problem}");
    }
}

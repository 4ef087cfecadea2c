//! How each is started.

use std::{fs, net::TcpStream, path::Path};

use anyhow::{Context as _, Result, ensure};

use super::{Door, Make};
use crate::host::{Namespace, Process, wait_for};

const LISTENER: &str = include_str!("../../attacks/servers/listener.py");
const PYTHON: &str = include_str!("../../attacks/servers/application.py");
const NODE: &str = include_str!("../../attacks/servers/application.js");
const NGINX: &str = include_str!("../../attacks/servers/nginx.conf");
const HAPROXY: &str = include_str!("../../attacks/servers/haproxy.cfg");

pub(super) fn listener(namespace: &Namespace, dir: &Path) -> Result<Process> {
    let script = dir.join("listener.py");
    fs::write(&script, LISTENER)?;
    let mut command = namespace.command("python3");
    command.arg(script).arg(dir.join("listener.log"));
    for door in Door::ALL {
        command.arg(door.listener().to_string());
        command.arg(format!("slow:{}", door.slow_listener()));
        command.arg(format!("multipath:{}", door.multipath_listener()));
    }
    Process::start(&mut command, &dir.join("listener.out"))
}

pub(super) fn make(make: Make, namespace: &Namespace, dir: &Path) -> Result<Process> {
    let name = make.name();
    let file = |extension: &str| dir.join(format!("{name}.{extension}"));
    let ports = Door::ALL.map(|door| make.port(door));
    let listen = |line: &dyn Fn(u16) -> String, proxied: &str| {
        let line = |door| {
            let more = if door == Door::Proxy { proxied } else { "" };
            line(make.port(door)) + more
        };
        Door::ALL.map(line)
    };
    let mut out = file("out");
    let mut command;
    match make {
        Make::Haproxy => {
            let bind = listen(
                &|port| format!("bind :::{port} v4v6 backlog 1024"),
                " accept-proxy",
            );
            let python = Make::Python.port(Door::Web).to_string();
            let text = HAPROXY.replace("PYTHON", &python);
            fs::write(file("cfg"), text.replace("LISTEN", &bind.join("\n")))?;
            command = namespace.command("haproxy");
            command.arg("-db").arg("-f").arg(file("cfg"));
            // Its log is what it prints.
            out = file("log");
        }
        Make::Nginx => {
            let text = NGINX.replace("DIR", &dir.display().to_string());
            let listen = listen(
                &|port| format!("listen [::]:{port} ipv6only=off backlog=1024"),
                " proxy_protocol",
            );
            let listen = listen.map(|line| line + ";").join("\n");
            fs::write(file("conf"), text.replace("LISTEN", &listen))?;
            command = namespace.command("nginx");
            command.arg("-e").arg(file("error"));
            command.arg("-c").arg(file("conf"));
        }
        Make::Node => {
            fs::write(file("js"), NODE)?;
            command = namespace.command("node");
            command.arg("--max-http-header-size=131072").arg(file("js"));
            command
                .arg(file("log"))
                .args(ports.map(|port| port.to_string()));
        }
        Make::Python => {
            fs::write(file("py"), PYTHON)?;
            command = namespace.command("python3");
            command.arg(file("py"));
            command
                .arg(file("log"))
                .args(ports.map(|port| port.to_string()));
        }
    }
    Process::start(&mut command, &out).context(name)
}

/// Waits until every port is open.
pub(super) fn wait(namespace: &Namespace, processes: &mut [Process]) -> Result<()> {
    for door in Door::ALL {
        let makes = Make::ALL.map(|make| make.port(door));
        for port in makes.into_iter().chain(door.listeners()) {
            wait_for("a server", || {
                ensure!(
                    processes.iter_mut().all(Process::is_running),
                    "a server ended before port {port} was open"
                );
                namespace.within(|| TcpStream::connect(("127.0.0.1", port)).is_ok())
            })?;
        }
    }
    Ok(())
}

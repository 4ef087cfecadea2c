//! The server.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::{Namespace, Process, patience::wait_for};

/// nginx, answering every request with 200 and logging each one.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    dir: TempDir,
}

impl Nginx {
    /// Starts it on `listen` (as in nginx's `listen` directive).
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(namespace: &Namespace, listen: &[&str]) -> Result<Self> {
        Self::logging(namespace, listen, true)
    }

    /// The same, but logging nothing, to be measured.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn silent(namespace: &Namespace, listen: &[&str]) -> Result<Self> {
        Self::logging(namespace, listen, false)
    }

    fn logging(namespace: &Namespace, listen: &[&str], logs: bool) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().display();
        let listen: String = listen.iter().map(|on| format!("listen {on};\n")).collect();
        let logs = if logs {
            format!(
                "log_format requests '$request';\n\
                 log_format connections '$remote_port $request_uri $http_authorization $http_x_api_key';\n\
                 access_log {path}/access.log requests;\n\
                 access_log {path}/connections.log connections;\n"
            )
        } else {
            "access_log off; keepalive_requests 1000000000;\n".into()
        };
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ }}\n\
             http {{\n\
               {logs}\
               client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;\n\
               fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;\n\
               large_client_header_buffers 8 32k; client_max_body_size 0; keepalive_timeout 60s;\n\
               server {{ {listen} location / {{ return 200 \"hello\\n\"; }}\n\
                 location /upload {{ client_body_in_file_only clean; proxy_pass http://127.0.0.1:1; error_page 502 =200 /done; }}\n\
                 location = /done {{ return 200 \"done\\n\"; }} }}\n\
             }}\n"
        );
        let file = dir.path().join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = namespace.command("nginx");
        command
            .arg("-e")
            .arg(dir.path().join("error.log"))
            .arg("-c")
            .arg(&file);
        let process = Process::start(&mut command, &dir.path().join("out.log"))?;
        let mut nginx = Self { process, dir };
        wait_for("nginx", || {
            ensure!(
                nginx.process.is_running(),
                "nginx ended: {}",
                nginx.errors()
            );
            Ok(nginx.dir.path().join("pid").exists())
        })?;
        Ok(nginx)
    }

    /// What the application saw: the request line of each request.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// The same, once there are `count` of them: each is logged only after it was answered.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn wait_for_requests(&self, count: usize) -> Result<Vec<String>> {
        wait_for("requests at the application", || {
            Ok(self.requests().len() >= count)
        })
        .with_context(|| format!("{count} were expected: {:?}", self.requests()))?;
        Ok(self.requests())
    }

    /// What the application saw: of each request the client's port, the target and the credential.
    #[must_use]
    pub fn connections(&self) -> String {
        fs::read_to_string(self.dir.path().join("connections.log")).unwrap_or_default()
    }

    fn errors(&self) -> String {
        ["out.log", "error.log"]
            .map(|name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default())
            .concat()
    }
}

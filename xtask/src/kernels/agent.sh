# The agent on `lo`, in front of a real server.
get() {
    printf 'GET / HTTP/1.0\r\nHost: a\r\n%s\r\n\r\n' "${1:-Accept: */*}" |
        timeout "$2" nc 127.0.0.1 8080 | grep -q hello
}
allowed() { get "${1:+Authorization: Bearer $1}" 20; }
denied() { if get "${1:+Authorization: Bearer $1}" 3; then return 1; fi; }

mkdir -p /etc/token-agent /www
echo hello > /www/index.html
printf 'root:x:0:\ntoken-agent:x:900:\n' > /etc/group
cat > /etc/token-agent/config.toml <<'END'
[datapath]
interfaces = ["lo"]
[[service]]
name = "web"
listen = ["127.0.0.1:8080"]
# This machine has no modules, so its connections cannot be listed.
existing_connections = "drop"
END
httpd -p 127.0.0.1:8080 -h /www
allowed

token-agent run &
agent=$!
token-agent status --wait 60s
token=$(token-agent --quiet issue --owner me --purpose test)
allowed "$token"
denied
printf %s "$token" | token-agent revoke --stdin
denied "$token"
kill "$agent"
wait "$agent"
denied "$token"
token-agent detach --all --yes
allowed

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
existing_connections = "adopt"
END
httpd -p 127.0.0.1:8080 -h /www
allowed

# A connection that is older than the guard, on which nothing was said yet; and one on which something was.
mkfifo /tmp/fresh /tmp/begun
nc 127.0.0.1 8080 < /tmp/fresh > /tmp/fresh.answer &
exec 3> /tmp/fresh
nc 127.0.0.1 8080 < /tmp/begun > /tmp/begun.answer &
exec 4> /tmp/begun
printf 'GET / HTTP/1.0\r\n' >&4
connected() { netstat -tn | grep -c '^tcp .* 127.0.0.1:8080 .*ESTABLISHED'; }
until [ "$(connected)" -ge 2 ]; do sleep 1; done

token-agent run &
agent=$!
token-agent status --wait 60s
token=$(token-agent --quiet issue --owner me --purpose test)
token-agent status | grep -q 'older than the guard: 1 adopted, 1 closed, 0 left'
printf 'GET / HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n' "$token" >&3
exec 3>&- 4>&-
wait %1
grep -q hello /tmp/fresh.answer
if grep -q hello /tmp/begun.answer; then exit 1; fi
allowed "$token"
denied
printf %s "$token" | token-agent revoke --stdin
denied "$token"
kill "$agent"
wait "$agent"
denied "$token"
token-agent detach --all --yes
allowed

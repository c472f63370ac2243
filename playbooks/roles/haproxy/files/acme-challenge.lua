-- Managed by Muster: changes made here are undone.
-- Answers ACME challenges (RFC 8555, 8.3) with what this host's client wrote into its webroot; others pass.
-- HAProxy sees the path from within its chroot, /var/lib/haproxy.
local webroot = "/acme/"

core.register_action("acme_challenge", { "http-req" }, function(txn)
  local token = txn.f:path():match("^/%.well%-known/acme%-challenge/([%w_-]+)$")
  local file = token and io.open(webroot .. token)
  if not file then return end
  local answer = txn:reply({ status = 200, headers = { ["content-type"] = { "application/octet-stream" } }, body = file:read("a") })
  file:close()
  txn:done(answer)
end)

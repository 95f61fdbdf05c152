#!lua flags=no-writes
-- What stands under some keys.
-- KEYS: outbox, graves
-- ARGV: record prefix, then the members
-- Returns: for each false (not here) or {version, forgotten, copy, queued (0 or 1 each)}
local time = redis.call('TIME')
local now_ms = (time[1] * 1000000 + time[2]) / 1000
local found = {}
for i = 2, #ARGV do
  local f = redis.call('HMGET', ARGV[1] .. ARGV[i], 'v', 'g', 'x')
  if not f[1] or (f[3] and tonumber(f[3]) <= now_ms) then
    found[i - 1] = false
  else
    local queued = redis.call('ZSCORE', f[2] and KEYS[2] or KEYS[1], ARGV[i])
    found[i - 1] = {f[1], f[2] and 1 or 0, f[3] and 1 or 0, queued and 1 or 0}
  end
end
return found

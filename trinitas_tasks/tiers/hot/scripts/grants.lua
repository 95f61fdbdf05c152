#!lua flags=no-writes
-- All grants of some memories.
-- KEYS: granting
-- ARGV: grants prefix, then the members
-- Returns: for each {queued (0 or 1), {grantee, version (negative: revoked), ..}}
local found = {}
for i = 2, #ARGV do
  local queued = redis.call('ZSCORE', KEYS[1], ARGV[i])
  found[i - 1] = {queued and 1 or 0, redis.call('HGETALL', ARGV[1] .. ARGV[i])}
end
return found

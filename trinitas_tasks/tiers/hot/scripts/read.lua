#!lua flags=allow-oom
-- Read records as one persona may, and count the access if asked to.
-- KEYS: dirty, then the records
-- ARGV: '1' to count, the persona that reads, grants prefix, then the members (persona:id)
-- Returns: for each record false (not here), 'g' (forgotten), 'n' (of another, and not granted: here or not) or
-- {body, version, access count, last access in us}
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local found = {}
local reader, own = ARGV[2], ARGV[2] .. ':'
-- access counts are flushed to the archive later: not worth an fsync here
if ARGV[1] == '1' then redis.set_repl(redis.REPL_NONE) end
for i = 2, #KEYS do
  local member = ARGV[i + 2]
  local mine = string.sub(member, 1, #own) == own
  local barred = not mine and (tonumber(redis.call('HGET', ARGV[3] .. member, reader)) or 0) <= 0
  -- not even looked at: what is there must not cost more time than what is not
  local f = barred and {} or redis.call('HMGET', KEYS[i], 'b', 'v', 'c', 'n', 'a', 'g', 'x')
  if barred then
    found[i - 1] = 'n'
  elseif f[6] then
    found[i - 1] = 'g'
  elseif not f[1] or (f[7] and tonumber(f[7]) * 1000 <= now_us) then  -- past its time, even if its key still stands
    found[i - 1] = false
  else
    local count = (tonumber(f[3]) or 0) + (tonumber(f[4]) or 0)
    if ARGV[1] == '1' then
      redis.call('HINCRBY', KEYS[i], 'n', 1)
      redis.call('HSET', KEYS[i], 'a', string.format('%.0f', now_us))
      redis.call('SADD', KEYS[1], member)
      found[i - 1] = {f[1], f[2], count + 1, string.format('%.0f', now_us)}
    else
      found[i - 1] = {f[1], f[2], count, f[5]}
    end
  end
end
return found

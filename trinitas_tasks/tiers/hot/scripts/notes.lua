#!lua flags=allow-oom
-- The notes whose time is not over; the others go.
-- KEYS: notes
-- Returns: name, text, name, text, ..
local time = redis.call('TIME')
local now_ms = (time[1] * 1000000 + time[2]) / 1000
local kept, all = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local ends_ms, text = string.match(all[i + 1], '^(%d+):(.*)$')
  if ends_ms and tonumber(ends_ms) > now_ms then
    kept[#kept + 1] = all[i]
    kept[#kept + 1] = text
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return kept

#!lua flags=allow-oom
-- Records whose versions the archive holds leave the outbox, and their time to live starts.
-- KEYS: outbox
-- ARGV: record prefix, pending prefix, generation prefix, grants prefix,
--       then for each: persona, id, version, seconds (0: it goes at once)
-- Returns: for each 1, or 0 where a newer version stands
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
local done, personas = {}, {}
for i = 5, #ARGV, 4 do
  local persona, id, version, ttl_ms = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3] * 1000
  local member = persona .. ':' .. id
  local record = ARGV[1] .. member
  local f = redis.call('HMGET', record, 'v', 'x')
  if f[1] == version then
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', ARGV[2] .. persona, id)
    if ttl_ms == 0 then
      redis.call('DEL', record)
    elseif not f[2] then  -- a copy keeps its time: it may be a refilled one, of which the append-only file has nothing
      redis.call('HSET', record, 'x', string.format('%.0f', now_ms + ttl_ms))
      redis.call('PEXPIRE', record, string.format('%.0f', ttl_ms))
    end
    personas[persona] = true
    local marks = redis.call('HGETALL', ARGV[4] .. member)
    for j = 1, #marks, 2 do
      if tonumber(marks[j + 1]) > 0 then personas[marks[j]] = true end
    end
    done[#done + 1] = 1
  else
    done[#done + 1] = 0
  end
end
for persona in pairs(personas) do redis.call('INCR', ARGV[3] .. persona) end
return done

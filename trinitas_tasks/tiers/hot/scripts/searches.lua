#!lua flags=no-writes
-- All searches that were counted.
-- KEYS: searches
-- ARGV: space (the namespace and a colon)
-- Returns: {name, number, ..}, for each persona {persona, {"us text", ms, ..}}
local time = redis.call('TIME')
local hour = math.floor(time[1] / 3600)
local since_us = (time[1] - 86400) * 1000000 + time[2]
local counts, slowest = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #counts, 2 do
  local persona = string.match(counts[i], '^(.*):asked$')
  if persona then
    local recent = {}
    for each = hour - 24, hour do
      local slow = redis.call('ZRANGE', ARGV[1] .. 'slow:' .. persona .. ':' .. each, 0, -1, 'WITHSCORES')
      for j = 1, #slow, 2 do
        if tonumber(string.match(slow[j], '^%d+')) > since_us then
          recent[#recent + 1] = slow[j]
          recent[#recent + 1] = slow[j + 1]
        end
      end
    end
    slowest[#slowest + 1] = {persona, recent}
  end
end
return {counts, slowest}

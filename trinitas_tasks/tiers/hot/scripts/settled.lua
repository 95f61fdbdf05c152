#!lua flags=allow-oom
-- The archive has this batch of what was noted.
-- KEYS: batch, signals, trails, forgot
-- ARGV: its number
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
redis.call('DEL', KEYS[1], KEYS[1] .. ':uses', KEYS[1] .. ':steps', KEYS[1] .. ':signals')
-- nothing waits that could be of what was forgotten
if redis.call('EXISTS', KEYS[2], KEYS[3]) == 0 then redis.call('DEL', KEYS[4]) end

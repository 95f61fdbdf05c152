#!lua flags=no-writes
-- The places of records that are not archived yet, among the times of their personas.
-- ARGV: record prefix, then the members
-- Returns: for each its place, or false where the archive has it or nothing is here
local found = {}
for i = 2, #ARGV do found[i - 1] = redis.call('HGET', ARGV[1] .. ARGV[i], 't') end
return found

-- What a copy takes, and what it is worth: see rows.copy_bytes and rows.worth, which say the same.
local function size_of(member, body_bytes) return body_bytes + 4 * #member + 680 end
local function worth_of(reads, size, age) return age + (1 + reads) * 1024 / size end

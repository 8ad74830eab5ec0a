
-- Delayed: events of an append that are not to run yet lie in `later` from the beginning

-- Behind what `append` has else: KEYS per function: counts, later, rows · ARGV per function: number of
-- items, due in ms and id of each, id and row (as postpone has it) of each.
local function read_delayed(keys, key, args, at)
  local groups = {}
  if (#keys - key + 1) % 3 ~= 0 then bad_call('keys') end
  for first = key, #keys, 3 do
    local n = tonumber(args[at])
    if not n or n < 1 or n > kItemsMax or #args < at + 4 * n then bad_call('number of rows') end
    for i = at + 1, at + 2 * n, 2 do
      if not tonumber(args[i]) or args[i + 1] ~= args[i + 2 * n] or #args[i + 2 * n + 1] < 20 then
        bad_call('row')
      end
    end
    check_type(keys[first], 'hash')
    check_type(keys[first + 1], 'zset')
    check_type(keys[first + 2], 'hash')
    groups[#groups + 1] = {
      counts = keys[first], later = keys[first + 1], rows = keys[first + 2],
      moves = {accepted = n, later = n}, args = args, first = at + 1, n = n,
    }
    at = at + 1 + 4 * n
  end
  if #args ~= at - 1 then bad_call('number of arguments') end
  return groups
end

local function ids_of_delayed(group)
  local ids = {}
  for i = 1, group.n do ids[i] = group.args[group.first + 2 * i - 1] end
  return ids
end

local function place_delayed(group)
  local middle = group.first + 2 * group.n
  apply_counts(group.counts, group.moves)
  group.counted = true
  call('ZADD', group.later, unpack(group.args, group.first, middle - 1))
  group.placed = true
  call('HSET', group.rows, unpack(group.args, middle, middle + 2 * group.n - 1))
  group.filled = true
end
local function undo_delayed(group)
  if group.filled then take_back('HDEL', group.rows, unpack(ids_of_delayed(group))) end
  if group.placed then take_back('ZREM', group.later, unpack(ids_of_delayed(group))) end
  if group.counted then undo_counts(group.counts, group.moves) end
end

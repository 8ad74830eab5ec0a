
-- postpone: deliveries move to `later`, or get a new due time there

local function judge_postpone(group, later, rows)
  if group.origin == kJournal and group.size > 1 then return judge_states(group, rows) end
  local ids = ids_of(group)
  local old = call('HMGET', rows, unpack(ids))
  local results
  group.old = old
  if group.origin == kLater then
    group.scores = call('ZMSCORE', later, unpack(ids))
    read_held(group, rows, ids)
  end
  judge_each(group, function(i)
    local token = token_of(group, i)
    if old[i] then
      if sub(old[i], 1, 4) == token then return kDuplicate end
      return group.origin == kLater and kOk or kFenced
    end
    if group.origin == kJournal then return kOk end  -- XDEL's answer decides, in the unit
    results = results or read_results(group.results, fields_of(group))
    if results[i] then return verdict_by_token(results[i], token) end
    return group.origin == kMemory and kOk or kGone
  end)
end

local function place_rows(group, args, later, rows)
  local places, values, keys = {}, {}, {}
  for _, i in ipairs(picked_of(group)) do
    local at, id = group.first + 3 * (i - 1), id_of(group, i)
    if args[at + 2] ~= '' then
      keys[#keys + 1] = id
      keys[#keys + 1] = args[at + 2]
    end
    places[#places + 1] = args[at]
    places[#places + 1] = id
    values[#values + 1] = id
    values[#values + 1] = args[at + 1]
  end
  call('ZADD', later, unpack(places))
  group.placed = true
  if #keys > 0 then
    group.held_key, group.kept = held_key_of(rows), keys
    call('HSET', group.held_key, unpack(keys))
  end
  call('HSET', rows, unpack(values))
  group.filled = true
end
-- A key that was there before is there again.
local function undo_kept(group)
  for at = 1, #(group.kept or {}), 2 do take_back('HDEL', group.held_key, group.kept[at]) end
  group.kept = nil
  undo_held(group)
end
local function undo_place_rows(group, later, rows)
  undo_kept(group)
  for _, i in ipairs(picked_of(group)) do
    local id, score = id_of(group, i), group.scores and group.scores[i]
    if group.filled then
      if group.scores then take_back('HSET', rows, id, group.old[i])
      else take_back('HDEL', rows, id) end
    end
    if group.placed then
      if score then take_back('ZADD', later, score, id)
      else take_back('ZREM', later, id) end
    end
  end
  group.placed, group.filled = nil, nil
end

-- KEYS meta, counts, later, rows, groups · ARGV epoch, groups, per item: due in ms, row (token u32,
-- attempts u32, accepted ms u64, ledger length u32, ledger, packed event), ordering key that it keeps
-- (or empty). Answers the verdicts.
local function postpone(keys, args)
  local counts, later, rows = keys[2], keys[3], keys[4]
  check_epoch(keys[1], args[1])
  local groups, items = read_groups(keys, args, 5, 2, 3)
  for at = groups[1].first, groups[1].first + 3 * items - 1, 3 do
    if not tonumber(args[at]) or #args[at + 1] < 20 then bad_call('row') end
  end
  for _, group in ipairs(groups) do judge_postpone(group, later, rows) end
  return run_units(counts, rows, groups, function(group, moves, sign)
    if group.origin == kLater then return end
    leave_origin(group, moves, sign * group.ok)
    move(moves, 'later', sign * group.ok)
  end, function(group)
    place_rows(group, args, later, rows)
    if group.origin ~= kJournal then return true end
    if group.size > 1 then write_states(group) end
    return close_entry(group)
  end, function(group)
    undo_states(group)
    undo_place_rows(group, later, rows)
  end)
end

register('postpone', postpone, {'allow-oom'})


-- commit and bury: deliveries end, with a result

-- Decides for one group whose items end. Rows of `later` and the memory class have no states.
local function judge_end(group, later, rows)
  if group.origin == kJournal then
    if group.size > 1 then return judge_states(group, rows) end
    -- Without a result, XDEL's answer decides, in the unit.
    if call('HEXISTS', group.results, index_of(group, 1)) == 1 then judge_closed(group, rows) end
  elseif group.origin == kLater then
    local ids = ids_of(group)
    local scores = call('ZMSCORE', later, unpack(ids))
    local results
    group.scores = scores
    read_held(group, rows, ids)
    judge_each(group, function(i)
      if scores[i] then return kOk end
      results = results or read_results(group.results, fields_of(group))
      return results[i] and verdict_by_token(results[i], token_of(group, i)) or kGone
    end)
  elseif call('EXISTS', group.results, rows) > 0 then
    local results = read_results(group.results, fields_of(group))
    local waiting = call('HMGET', rows, unpack(ids_of(group)))
    judge_each(group, function(i)
      if results[i] then return verdict_by_token(results[i], token_of(group, i)) end
      return waiting[i] and kFenced or kOk
    end)
  end
end

local function are_neighbours(group)
  local n, first = group.n, index_of(group, 1)
  return sub(group.head, 6 + n, 5 + 2 * n) == sub(all_slots, first + 1, first + n)
end

-- Looks for what is staged for a group: its results, which go beside the others as they are, or, if
-- some of them are not wanted, take the place of the empty argument.
local function find_staged(group, args)
  if group.n == 1 or group.ok == 0 or args[group.first] ~= kBeside then return end
  local first = index_of(group, 1)
  local span = span_name(first, first + group.n - 1)
  local staged = staged_span_key_of(group.results, span, token_of(group, 1))
  local there = call(group.picked and 'GET' or 'EXISTS', staged)
  if not are_neighbours(group) then bad_call('staged') end
  if group.picked then args[group.first] = there
  else group.staged, group.beside = staged, span_key_of(group.results, span) end
  if not there or there == 0 then error({err = 'UNSTAGED the results of a commit are not there'}) end
end

-- The results of one group; (index, value) lie in ARGV `step` apart. 0: they are packed in one
-- argument, or it is the only one's value.
local function fields_of_results(group, args, step)
  local at, packed = group.first, args[group.first]
  if step == 0 then
    local n, first = group.n, index_of(group, 1)
    if n == 1 then return {first, packed} end
    if not group.picked and are_neighbours(group) then
      return {span_name(first, first + n - 1), packed, kSpansField, ''}
    end
    args, at, step = fields_of_packed(packed), 1, 2
    if #args ~= 2 * n then bad_call('packed results') end
  end
  local fields = {}
  for _, i in ipairs(picked_of(group)) do
    fields[#fields + 1] = args[at + (i - 1) * step]
    fields[#fields + 1] = args[at + (i - 1) * step + 1]
  end
  return fields
end
local function write_results(group, args, step, ttl_ms)
  if group.staged then
    call('RENAME', group.staged, group.beside)
    call('PEXPIRE', group.beside, ttl_ms)
  end
  if not group.picked and step == 2 then
    call('HSET', group.results, unpack(args, group.first, group.first + 2 * group.n - 1))
  else
    local fields = fields_of_results(group, args, step)
    local added = call('HSET', group.results, unpack(fields))
    -- The field that tells of spans goes again only if it came with this one.
    if fields[3] == kSpansField then group.span = {fields[1], added == 2 and kSpansField or nil} end
  end
  group.stored = true
  call('PEXPIRE', group.results, ttl_ms)
end
local function undo_results(group)
  if group.staged then take_back('UNLINK', group.beside) end
  if not group.stored then return end
  group.stored = nil
  if group.span then return take_back('HDEL', group.results, unpack(group.span)) end
  local fields = {}
  for _, i in ipairs(picked_of(group)) do fields[#fields + 1] = index_of(group, i) end
  take_back('HDEL', group.results, unpack(fields))
end

-- Takes rows out of `later`: the sorted set first, the hash, which holds the payload, last.
local function take_rows(group, later, rows)
  local ids = {}
  for _, i in ipairs(picked_of(group)) do ids[#ids + 1] = id_of(group, i) end
  call('ZREM', later, unpack(ids))
  group.unplaced = true
  if group.held then call('HDEL', group.held_key, unpack(ids)) end
  call('HDEL', rows, unpack(ids))
end
local function undo_take_rows(group, later)
  if not group.unplaced then return end
  group.unplaced = nil
  undo_held(group)
  for _, i in ipairs(picked_of(group)) do
    if group.scores[i] then take_back('ZADD', later, group.scores[i], id_of(group, i)) end
  end
end

-- Where a group's deliveries lie, they lie no more. False: the only one of its entry was not open.
local function take_away(group, later, rows)
  if group.origin == kLater then
    take_rows(group, later, rows)
  elseif group.origin == kJournal then
    if group.size > 1 then write_states(group) end
    return close_entry(group)
  end
  return true
end
local function undo_take_away(group, later)
  undo_states(group)
  undo_take_rows(group, later)
end

local function leave_origin(group, moves, k)
  if group.origin == kJournal then move(moves, 'open', -k)
  elseif group.origin == kLater then move(moves, 'later', -k)
  else move(moves, 'accepted', k) end
end

-- KEYS counts, later, rows, groups · ARGV result ttl in ms (0: no results are stored), groups,
-- per item (only with a ttl): index, token u32 + packed result. Answers the verdicts: 4 and 5, too, for
-- items whose writes on rows were refused. `per_group`: the results of each group are packed in one.
local function commit(keys, args, effects, per_group)
  local counts, later, rows, ttl_ms = keys[1], keys[2], keys[3], args[1]
  local per_item = (ttl_ms == '0' or per_group) and 0 or 2
  local groups, items = read_groups(keys, args, 4, 2, per_item, per_group)
  check_effects(effects, items)
  local store = effects and effects.store
  local swept = store and sweep(store)
  for _, group in ipairs(groups) do
    judge_end(group, later, rows)
    judge_rows(group, effects, rows)
    if per_group and ttl_ms ~= '0' then find_staged(group, args) end
  end
  apply_change(store, swept)
  return run_units(counts, rows, groups, function(group, moves, sign)
    leave_origin(group, moves, sign * group.ok)
    move(moves, 'succeeded', sign * group.ok)
  end, function(group)
    if ttl_ms ~= '0' then write_results(group, args, per_group and 0 or 2, ttl_ms) end
    write_effects(group, effects)
    return take_away(group, later, rows)
  end, function(group)
    undo_take_away(group, later)
    undo_effects(group, effects)
    undo_results(group)
  end)
end

-- How a status other than success is counted.
local kStatusCounts = {['1'] = 'dead', ['2'] = 'expired', ['3'] = 'cancelled'}

-- KEYS meta, counts, later, rows, dead, groups · ARGV epoch, result ttl in ms, now in ms, letters
-- older than this ms go, letters above this number go, groups, per item: index, token u32 + packed
-- result, status, reason, packed event (empty when cancelled). Answers the verdicts, or, where letters
-- were trimmed, the verdicts and how many.
local function bury(keys, args, effects)
  local counts, later, rows, dead = keys[2], keys[3], keys[4], keys[5]
  local ttl_ms, now_ms, age_from_ms, count_max = args[2], args[3], args[4], args[5]
  check_epoch(keys[1], args[1])
  local groups, items = read_groups(keys, args, 6, 6, 5)
  check_effects(effects, items)
  local function status_of(group, i) return args[group.first + (i - 1) * 5 + 2] end
  for _, group in ipairs(groups) do
    for i = 1, group.n do
      if not kStatusCounts[status_of(group, i)] then bad_call('status') end
    end
    judge_end(group, later, rows)
  end

  local letters = 0
  local function write_letters(group)
    group.letters = {}
    for _, i in ipairs(picked_of(group)) do
      local at = group.first + (i - 1) * 5
      if args[at + 2] ~= '3' then
        group.letters[#group.letters + 1] = call('XADD', dead, '*', 'id', id_of(group, i),
          'status', args[at + 2], 'reason', args[at + 3], 'at', now_ms,
          'record', sub(args[at + 1], 5), 'event', args[at + 4],
          'token', sub(args[at + 1], 1, 4))
        letters = letters + 1
      end
    end
  end
  local function undo_letters(group)
    if not group.letters or #group.letters == 0 then return end
    take_back('XDEL', dead, unpack(group.letters))
    letters = letters - #group.letters
    group.letters = nil
  end

  local verdicts = run_units(counts, rows, groups, function(group, moves, sign)
    if group.ok == 0 then return end
    leave_origin(group, moves, sign * group.ok)
    for _, i in ipairs(picked_of(group)) do
      move(moves, kStatusCounts[status_of(group, i)], sign)
    end
  end, function(group)
    if ttl_ms ~= '0' then write_results(group, args, 5, ttl_ms) end
    write_letters(group)
    write_effects(group, effects)
    return take_away(group, later, rows)
  end, function(group)
    undo_take_away(group, later)
    undo_effects(group, effects)
    undo_letters(group)
    undo_results(group)
  end)

  -- Trimming is no part of the change: what it misses now goes with the next letter.
  local trimmed = 0
  if letters > 0 then
    local by_count = redis.pcall('XTRIM', dead, 'MAXLEN', '~', count_max)
    local by_age = redis.pcall('XTRIM', dead, 'MINID', '~', age_from_ms)
    trimmed = (tonumber(by_count) or 0) + (tonumber(by_age) or 0)
  end
  return trimmed > 0 and {verdicts, trimmed} or verdicts
end

local function commit_with(keys, args)
  local effects, own_keys, own_args = read_effects(keys, args, true)
  return commit(own_keys, own_args, effects)
end
local function bury_with(keys, args)
  local effects, own_keys, own_args = read_effects(keys, args)
  return bury(own_keys, own_args, effects)
end

-- As commit, for data of layout 2 and later; KEYS and ARGV the same, but that behind the groups there is
-- one argument of each: its results packed, or of one its value alone; empty: they are staged. UNSTAGED:
-- they are not.
local function commit_packed(keys, args) return commit(keys, args, nil, 1) end

register('commit', commit, {'allow-oom'})
register('commit_packed', commit_packed, {'allow-oom'})
register('bury', bury, {'allow-oom'})
register('commit_with', commit_with, {'allow-oom'})
register('bury_with', bury_with, {'allow-oom'})

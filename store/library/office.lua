
-- Taking office, functions, workers

-- How data of one layout becomes data of the next, by the layout that it has: functions of the meta
-- key, for data of which a call may take its time. Each can be repeated from any point, as Redis keeps
-- what one that failed has written.
--
-- 2: entries of several deliveries, and results that were committed together, lie in one value each
-- (packed.lua). What lies there in the form of layout 1 is read as ever, so nothing has to be changed.
local kMigrations = {['1'] = function() end}

-- Brings the data to this layout, step by step. That of newer programs is refused.
local function migrate(meta, layout, wanted)
  local known = string.match(layout, '^[1-9]%d*$')
  if not known or tonumber(layout) > tonumber(kLayout) then
    error({err = string.format('BADLAYOUT the data has layout %s, this program knows %s',
                               known or 'unknown', kLayout)})
  end
  while tonumber(layout) < tonumber(wanted) do
    kMigrations[layout](meta)
    layout = string.format('%d', tonumber(layout) + 1)
    call('HSET', meta, 'layout', layout)
  end
  return layout
end

-- KEYS meta · ARGV the layout to bring the data to, if theirs is older; 0: they stay as they are, so
-- that older programs can read them. New data has that layout, or the newest. Answers the new epoch,
-- the last entry and the layout.
local function begin(keys, args)
  local wanted = args[1] or '0'
  if not tonumber(wanted) or tonumber(wanted) > tonumber(kLayout) then bad_call('layout') end
  local state = look('HMGET', keys[1], 'layout', 'epoch', 'last_entry')
  local layout = state[1] and migrate(keys[1], state[1], wanted) or wanted ~= '0' and wanted or kLayout
  local epoch = (tonumber(state[2]) or 0) + 1
  call('HSET', keys[1], 'layout', layout, 'epoch', string.format('%d', epoch))
  return {epoch, state[3] or '0-0', tonumber(layout)}
end

-- A registered function is "<generation> <active|paused> <digest>\n<manifest>".
local function parse_function(value)
  return string.match(value, '^(%d+) (%a+) (%x*)\n(.*)$')
end

-- A function's generations lie in one value, the newest first, each as "<generation> <deployed, Unix ms>
-- <generation that it goes back to, or 0> <digest> <bytes of the manifest>\n<manifest>".
local function format_generation(generation, deployed_ms, from, digest, manifest)
  return string.format('%s %s %s %s %d\n', generation, deployed_ms, from, digest, #manifest) .. manifest
end

-- Calls back with the fields of each and where it begins and ends.
local function each_generation(value, callback)
  local at = 1
  while at <= #value do
    local _, last, generation, deployed_ms, from, digest, size =
      find(value, '^(%d+) (%d+) (%d+) (%x*) (%d+)\n', at)
    if not last or last + size > #value then error({err = 'BADLAYOUT generations cannot be read'}) end
    callback(generation, deployed_ms, from, digest, sub(value, last + 1, last + size), at, last + size)
    at = last + size + 1
  end
end

-- The first `kept` of them, and the digests of the rest.
local function cut_generations(value, kept)
  local count, cut, dropped = 0, nil, {}
  each_generation(value, function(_, _, _, digest, _, from)
    count = count + 1
    if count <= kept then return end
    cut = cut or from
    dropped[digest] = true
  end)
  return cut and sub(value, 1, cut - 1) or value, dropped
end

-- Those of the digests that nothing refers to once the function `name` is registered with `digest` and
-- `generations`; both empty: once it is removed. KEYS as of deploy. Reads only.
local function unreferenced(keys, digests, name, digest, generations)
  digests[digest] = nil
  each_generation(generations, function(_, _, _, kept) digests[kept] = nil end)
  if not next(digests) then return digests end
  local functions, histories = call('HGETALL', keys[2]), call('HGETALL', keys[4])
  for i = 1, #functions, 2 do
    local _, _, used = parse_function(functions[i + 1])
    if used and functions[i] ~= name then digests[used] = nil end
  end
  for i = 1, #histories, 2 do
    if histories[i] ~= name then
      each_generation(histories[i + 1], function(_, _, _, kept) digests[kept] = nil end)
    end
  end
  return digests
end

-- The last step, after everything that counts: a package that stays for an error takes room, no more.
local function drop_packages(key, digests)
  for digest in pairs(digests) do redis.pcall('HDEL', key, digest) end
end

-- What is kept of a function once this is its newest generation.
local function extend_generations(keys, args, held, generation)
  local before = call('HGET', keys[4], args[2]) or ''
  local number, _, digest, manifest = parse_function(held or '')
  if number and not find(before, '^' .. number .. ' ') then  -- registered by a build that kept none
    before = format_generation(number, 0, 0, digest, manifest) .. before
  end
  local newest = format_generation(string.format('%d', generation), args[5], args[6], args[3], args[4])
  return cut_generations(newest .. before, tonumber(args[7]))
end

-- KEYS meta, functions, packages, generations · ARGV epoch, name, digest, manifest, now, generation that
-- it goes back to (or 0), generations kept. Answers the generation, which grows over all functions, so
-- that a name that was removed and deployed again does not see an old one, and whether it is a new one.
local function deploy(keys, args)
  check_epoch(keys[1], args[1])
  check_type(keys[3], 'hash')
  check_type(keys[4], 'hash')
  local held = call('HGET', keys[2], args[2])
  local state = 'active'
  if held then
    local generation, was, digest, manifest = parse_function(held)
    if digest == args[3] and manifest == args[4] then return {tonumber(generation), 0} end
    state = was or state
  end
  local generation = (tonumber(call('HGET', keys[1], 'generation')) or 0) + 1
  local value = string.format('%d %s %s\n', generation, state, args[3]) .. args[4]
  local before = call('HGET', keys[4], args[2])
  local generations, dropped = extend_generations(keys, args, held, generation)
  dropped = unreferenced(keys, dropped, args[2], args[3], generations)
  local function put_back(key, was)
    if was then take_back('HSET', key, args[2], was) else take_back('HDEL', key, args[2]) end
  end
  call('HSET', keys[2], args[2], value)
  all_or_nothing(function()
    call('HSET', keys[4], args[2], generations)
    call('HSET', keys[1], 'generation', generation)
  end, function()
    put_back(keys[4], before)
    put_back(keys[2], held)
  end)
  drop_packages(keys[3], dropped)
  return {generation, 1}
end

-- KEYS meta, functions, packages, generations · ARGV epoch, name. Answers whether it existed.
local function remove(keys, args)
  check_epoch(keys[1], args[1])
  check_type(keys[3], 'hash')
  local held, generations = call('HGET', keys[2], args[2]), look('HGET', keys[4], args[2])
  if not held then return 0 end
  local dropped = {}
  if generations then
    dropped = select(2, cut_generations(generations, 0))
  end
  local _, _, digest = parse_function(held)
  if digest then dropped[digest] = true end
  dropped = unreferenced(keys, dropped, args[2], '', '')
  call('HDEL', keys[2], args[2])
  all_or_nothing(function() call('HDEL', keys[4], args[2]) end,
                 function() take_back('HSET', keys[2], args[2], held) end)
  drop_packages(keys[3], dropped)
  return 1
end

-- KEYS meta, functions, packages, generations · ARGV epoch, digest. Answers whether nothing referred to it
-- and it is gone.
local function drop_package(keys, args)
  check_epoch(keys[1], args[1])
  if not next(unreferenced(keys, {[args[2]] = true}, '', '', '')) then return 0 end
  return call('HDEL', keys[3], args[2])
end

-- KEYS generations, packages · ARGV name. Answers generation, deployed, generation that it goes back to,
-- digest, manifest, whether its package is here, …, the newest first.
local function list_generations(keys, args)
  local value, answer = look('HGET', keys[1], args[1]) or '', {}
  each_generation(value, function(generation, deployed_ms, from, digest, manifest)
    for _, field in ipairs({generation, deployed_ms, from, digest, manifest}) do
      answer[#answer + 1] = field
    end
    answer[#answer + 1] = look('HEXISTS', keys[2], digest)
  end)
  return answer
end

-- KEYS meta, functions · ARGV epoch, name, active or paused. Answers whether there is such a function.
local function set_state(keys, args)
  check_epoch(keys[1], args[1])
  if args[3] ~= 'active' and args[3] ~= 'paused' then bad_call('state') end
  local held = call('HGET', keys[2], args[2])
  if not held then return 0 end
  local generation, _, digest, manifest = parse_function(held)
  if not generation then error({err = 'BADLAYOUT a registered function cannot be read'}) end
  call('HSET', keys[2], args[2], string.format('%s %s %s\n', generation, args[3], digest) .. manifest)
  return 1
end

-- KEYS functions. Answers name, value, ….
local function list_functions(keys) return look('HGETALL', keys[1]) end

-- KEYS meta, workers · ARGV epoch, name, what it said of itself, or "gone" as a fourth.
local function note_worker(keys, args)
  check_epoch(keys[1], args[1])
  if args[4] then call('HDEL', keys[2], args[2]) else call('HSET', keys[2], args[2], args[3]) end
  return 0
end

-- KEYS workers. Answers their names.
local function list_workers(keys) return look('HKEYS', keys[1]) end

local function digest() return '@DIGEST@' end

register('begin', begin, {'allow-oom'})
register('deploy', deploy, {})
register('remove', remove, {'allow-oom'})
register('drop_package', drop_package, {'allow-oom'})
register('set_state', set_state, {'allow-oom'})
register('note_worker', note_worker, {'allow-oom'})
register('list_functions', list_functions, {'no-writes'})
register('list_generations', list_generations, {'no-writes'})
register('list_workers', list_workers, {'no-writes'})
register('digest', digest, {'no-writes'})

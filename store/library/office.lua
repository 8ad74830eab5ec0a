
-- Taking office, functions, workers

-- How data of one layout becomes data of the next, by the layout that it has: functions of the meta
-- key, for data of which a call may take its time. Each can be repeated from any point, as Redis keeps
-- what one that failed has written. None yet: there has been one layout.
local kMigrations = {}

-- Brings the data to the layout of this library, step by step. The data of newer programs is refused.
local function migrate(meta, layout)
  while layout ~= kLayout do
    local number = tonumber(layout)
    local step = kMigrations[layout]
    if not number or not step then
      error({err = string.format('BADLAYOUT the data has layout %s, this program knows %s',
                                 number and string.format('%d', number) or 'unknown', kLayout)})
    end
    step(meta)
    layout = string.format('%d', number + 1)
    call('HSET', meta, 'layout', layout)
  end
end

-- KEYS meta. Answers the new epoch and the last entry.
local function begin(keys)
  local state = look('HMGET', keys[1], 'layout', 'epoch', 'last_entry')
  if state[1] then migrate(keys[1], state[1]) end
  local epoch = (tonumber(state[2]) or 0) + 1
  call('HSET', keys[1], 'layout', kLayout, 'epoch', string.format('%d', epoch))
  return {epoch, state[3] or '0-0'}
end

-- A registered function is "<generation> <active|paused> <digest>\n<manifest>".
local function parse_function(value)
  return string.match(value, '^(%d+) (%a+) (%x*)\n(.*)$')
end

-- KEYS meta, functions · ARGV epoch, name, digest, manifest. Answers the generation, which grows over
-- all functions, so that a name that was removed and deployed again does not see an old one.
local function deploy(keys, args)
  check_epoch(keys[1], args[1])
  local held = call('HGET', keys[2], args[2])
  local state = 'active'
  if held then
    local generation, was, digest, manifest = parse_function(held)
    if digest == args[3] and manifest == args[4] then return tonumber(generation) end
    state = was or state
  end
  local generation = (tonumber(call('HGET', keys[1], 'generation')) or 0) + 1
  local value = string.format('%d %s %s\n', generation, state, args[3]) .. args[4]
  call('HSET', keys[2], args[2], value)
  all_or_nothing(function()
    call('HSET', keys[1], 'generation', generation)
  end, function()
    if held then take_back('HSET', keys[2], args[2], held)
    else take_back('HDEL', keys[2], args[2]) end
  end)
  return generation
end

-- KEYS meta, functions · ARGV epoch, name. Answers whether it existed.
local function remove(keys, args)
  check_epoch(keys[1], args[1])
  return call('HDEL', keys[2], args[2])
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
register('set_state', set_state, {'allow-oom'})
register('note_worker', note_worker, {'allow-oom'})
register('list_functions', list_functions, {'no-writes'})
register('list_workers', list_workers, {'no-writes'})
register('digest', digest, {'no-writes'})

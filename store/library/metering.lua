
-- Metering: what attempts have used, by hour

local kSeenTtlMs = '604800000'  -- 7 days: a worker's repeat may wait as long for Redis
local kOtherTenants = '(other)'

-- A row is "<invocations> <failed> <billed ms> <MiB × ms> <peak kB>".
local function parse_usage(text)
  local numbers = {}
  for number in string.gmatch(text, '%d+') do numbers[#numbers + 1] = tonumber(number) end
  if #numbers ~= 5 then error({err = 'WRONGTYPE a row of usage is not five numbers'}) end
  return numbers
end

-- The row that a function's tenant is booked on: its own, or, once the hour has as many rows as it may,
-- that of all others. An hour's `rows` are those that have been read, `count` is how many it has.
local function row_of(hour, name, tenant)
  local field = name .. ' ' .. tenant
  local row = hour.rows[field]
  if row then return row end
  local text = call('HGET', hour.key, field)
  if not text and tenant ~= '' and tenant ~= kOtherTenants and hour.count >= hour.most then
    return row_of(hour, name, kOtherTenants)
  end
  row = {field = field, was = text, now = text and parse_usage(text) or {0, 0, 0, 0, 0}}
  if not text then hour.count = hour.count + 1 end
  hour.rows[field] = row
  hour.order[#hour.order + 1] = row
  return row
end

local function number_text(number) return string.format('%.0f', number) end

local function write_hour(hour, ttl)
  local pairs_of = {}
  for _, row in ipairs(hour.order) do
    local texts = {}
    for i = 1, 5 do texts[i] = number_text(row.now[i]) end
    pairs_of[#pairs_of + 1] = row.field
    pairs_of[#pairs_of + 1] = concat(texts, ' ')
  end
  call('HSET', hour.key, unpack(pairs_of))
  hour.written = true
  if hour.fresh then call('PEXPIRE', hour.key, ttl) end
end

local function undo_hour(hour)
  if not hour.written then return end
  if hour.fresh then return take_back('DEL', hour.key) end
  local old, new = {}, {}
  for _, row in ipairs(hour.order) do
    if row.was then
      old[#old + 1] = row.field
      old[#old + 1] = row.was
    else
      new[#new + 1] = row.field
    end
  end
  if #old > 0 then take_back('HSET', hour.key, unpack(old)) end
  if #new > 0 then take_back('HDEL', hour.key, unpack(new)) end
end

-- KEYS usage:seen:<worker>, usage:<hour> … · ARGV sequence, ttl ms of an hour, rows an hour may have
-- before tenants share one, per hour: number of rows; per row: function, tenant, invocations, failed,
-- billed ms, MiB × ms, peak kB. Answers 0, or 1 for a repeat.
local function meter(keys, args)
  local sequence, ttl, most = tonumber(args[1]), args[2], tonumber(args[3])
  if not sequence or not tonumber(ttl) or not most or #keys < 2 then bad_call('meter') end
  local seen = call('GET', keys[1])
  if seen and tonumber(seen) >= sequence then return 1 end
  local at, hours, total = 3 + #keys, {}, 0
  for k = 2, #keys do
    local n = tonumber(args[2 + k])
    if not n or n < 1 then bad_call('number of rows') end
    total = total + n
    check_type(keys[k], 'hash')
    local count = call('HLEN', keys[k])
    local hour = {key = keys[k], count = count, fresh = count == 0, most = most, rows = {}, order = {}}
    for _ = 1, n do
      local row = row_of(hour, args[at] or bad_call('row'), args[at + 1] or bad_call('row'))
      for i = 1, 5 do
        local number = tonumber(args[at + 1 + i])
        if not number then bad_call('usage') end
        row.now[i] = i == 5 and math.max(row.now[i], number) or row.now[i] + number
      end
      at = at + 7
    end
    hours[#hours + 1] = hour
  end
  if total > kItemsMax or #args ~= at - 1 then bad_call('number of rows') end
  all_or_nothing(function()
    for _, hour in ipairs(hours) do write_hour(hour, ttl) end
    call('SET', keys[1], args[1], 'PX', kSeenTtlMs)
  end, function()
    for _, hour in ipairs(hours) do undo_hour(hour) end
  end)
  return 0
end

register('meter', meter, {})

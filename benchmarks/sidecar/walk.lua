-- Walk through a file of tokens: SIZE of them TIMES over, then the next. SIZE 0 is the whole file, for as long as it takes.
-- wrk -s walk.lua URL -- FILE SKIP SIZE TIMES PAUSE_MS
local requests, first, at, lap, size, times, pause = {}, 0, 0, 1, 0, 1, 0

function init(given)
  local path, skip = given[1], tonumber(given[2])
  size, times, pause = tonumber(given[3]), tonumber(given[4]), tonumber(given[5])
  for token in io.lines(path) do
    requests[#requests + 1] = wrk.format("GET", wrk.path, { ["Host"] = wrk.host, ["Authorization"] = "Bearer " .. token })
  end
  if size == 0 then size = #requests end
  first = skip % #requests
  math.randomseed(1)
end

function request()
  at = at + 1
  if at > size then
    at, lap = 1, lap + 1
    if lap > times then lap, first = 1, first + size end
  end
  return requests[(first + at - 1) % #requests + 1]
end

if tonumber(wrk.headers["X-Pause"]) then
  wrk.headers["X-Pause"] = nil
  function delay() return math.random(0, 2 * pause) end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "refused": %d, "broken": %d, "p50_s": %f, "p95_s": %f}\n',
    summary.requests, summary.duration / 1e6, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e6, latency:percentile(95) / 1e6))
end

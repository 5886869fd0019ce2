-- Walk through a file of tokens, each once; with SIZE, through a window of that many, which moves on by one token after
-- TIMES requests: each token comes about TIMES times, and new ones come evenly.
-- wrk -s walk.lua URL -- FILE SKIP SIZE TIMES PAUSE_MS
local requests, first, at, size, times, pause = {}, 0, -1, 0, 1, 0
local STRIDE = 37 -- has no divisor in common with SIZE, so that neighbours in the window are far apart in time

function init(given)
  local path, skip = given[1], tonumber(given[2])
  size, times, pause = tonumber(given[3]), tonumber(given[4]), tonumber(given[5])
  for token in io.lines(path) do
    requests[#requests + 1] = wrk.format("GET", wrk.path, { ["Host"] = wrk.host, ["Authorization"] = "Bearer " .. token })
  end
  first = skip % #requests
  math.randomseed(1)
end

function request()
  at = at + 1
  local ahead = at
  if size > 0 then ahead = math.floor(at / times) + at * STRIDE % size end
  return requests[(first + ahead) % #requests + 1]
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

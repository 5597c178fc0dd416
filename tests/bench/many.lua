-- wrk: walks the paths of the file BENCH_URLS; every thread starts elsewhere.
local requests, at, count = {}, 0, 0
function init(args)
    local headers = { Host = os.getenv("BENCH_HOST"), ["Accept-Encoding"] = "gzip" }
    for path in io.lines(os.getenv("BENCH_URLS")) do
        count = count + 1
        requests[count] = wrk.format("GET", path, headers)
    end
    math.randomseed(os.time())
    at = math.random(count)
end
function request()
    at = at % count + 1
    return requests[at]
end

-- POST one JSON body to one URL, or to the URLs of a list in turn (BENCH_URLS).
local body = os.getenv("BENCH_BODY")
local urls = {}
local list = os.getenv("BENCH_URLS")
if list then
    for line in io.lines(list) do urls[#urls + 1] = line end
end
local at = 0
function request()
    local path = nil
    if #urls > 0 then
        at = at % #urls + 1
        path = urls[at]
    end
    return wrk.format("POST", path, { ["Content-Type"] = "application/json", ["Host"] = os.getenv("BENCH_HOST") }, body)
end

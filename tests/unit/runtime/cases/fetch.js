// bridge: ["fetch","https://a.example/x",{"method":"GET","headers":[]}]
// bridge: ["fetch","https://b.example/?a=1",{"method":"POST","headers":[["Content-Type","application/json"],["X-N","5"]],"body":"{\"a\":1}"}]
// bridge: ["fetch","https://c.example/",{"method":"PUT","headers":[["A","b"],["Content-Type","application/x-www-form-urlencoded;charset=UTF-8"]],"body":"a=1&b=%C3%A9"}]
// bridge: ["fetch","https://d.example/",{"method":"POST","headers":[["A","1"],["A","2"],["CONTENT-type","text/x"]],"body":""}]
// bridge: ["fetch","https://e.example/",{"method":"POST","headers":[],"body":"a=1"}]
// data: "fetch"
async function handler(input, { fetch }) {
  const answer = await fetch('https://a.example/x');
  await fetch(new URL('https://b.example?a=1'), {
    method: 'POST', headers: { 'Content-Type': 'application/json', 'X-N': 5, 'X-None': undefined }, body: JSON.stringify({ a: 1 }),
  });
  await fetch('https://c.example/', { method: 'PUT', headers: new Map([['A', 'b']]), body: new URLSearchParams({ a: 1, b: 'é' }) });
  await fetch('https://d.example/', { method: 'POST', headers: [['A', '1'], ['A', 2], ['CONTENT-type', 'text/x']], body: new URLSearchParams() });
  await fetch('https://e.example/', { method: 'post', body: 'a=1' });
  return answer[0];
}
module.exports = { handler };

// data: ["aGk=","","AP+A","hi","a","ab","InvalidCharacterError","InvalidCharacterError","InvalidCharacterError","InvalidCharacterError","TypeError","ÿþ","TypeError"]
module.exports = {
  handler() {
    const tried = (f) => { try { return f(); } catch (error) { return error.name; } };
    return [btoa('hi'), btoa(''), btoa('\0\xff\x80'), atob('aGk='), atob(' Y Q = = '), atob('YWI'), tried(() => btoa('€')),
      tried(() => atob('a')), tried(() => atob('YQ=')), tried(() => atob('Y=Q=')), tried(() => atob()), atob('//4'), tried(() => btoa())];
  },
};

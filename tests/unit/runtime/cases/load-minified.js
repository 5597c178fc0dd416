// load-error: SyntaxError: Unexpected token ']'
// line: 4
// column: 64
var a=1,b=[1,2],c=function(x){return x*2},d={e:b.map(c),f:'it'+];module.exports={handler:function(){return d}};

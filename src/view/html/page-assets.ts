/** Style and script of the HTML page. Constants: the page's policy names them by their hash. */

export const style = `
:root{color-scheme:light dark;--line:#cbd2d9;--quiet:#616e7c;--good:#18794e;--warn:#ad5700;--bad:#cd2b31;--odd:#8e4ec6;--mark:#0b68cb;--box:#f5f7fa}
@media(prefers-color-scheme:dark){:root{--line:#3e4c59;--quiet:#9aa5b1;--good:#4cc38a;--warn:#f1a10d;--bad:#ff6369;--odd:#bf7af0;--mark:#52a9ff;--box:#1f2933}}
body{font:15px/1.45 system-ui,sans-serif;max-width:1200px;margin:24px auto;padding:0 16px}
h1{font-size:22px;margin:0}h2{font-size:16px;margin:28px 0 8px}p{margin:4px 0}.quiet{color:var(--quiet)}
table{border-collapse:collapse}th,td{padding:3px 14px 3px 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:normal;color:var(--quiet)}td,summary,.path,ul{font-family:ui-monospace,monospace;font-size:13px}.number{text-align:right;font-variant-numeric:tabular-nums}
.delivered,.answered{color:var(--good)}.refused{color:var(--warn)}.dropped,.unanswered{color:var(--bad)}.unknown{color:var(--odd)}
.packet{border-bottom:1px solid var(--line)}.packet>summary{display:grid;grid-template-columns:5ch 11ch minmax(20ch,1fr) 10ch 10ch minmax(0,2fr);gap:12px;padding:3px 0;cursor:pointer;list-style:none}
.log{display:grid;grid-template-columns:5ch 11ch minmax(20ch,1fr) minmax(0,4fr);gap:12px;padding:3px 0;border-bottom:1px solid var(--line);font-family:ui-monospace,monospace;font-size:13px;color:var(--mark)}
.packet[open]{padding-bottom:12px}.packet>summary:hover{background:var(--box)}.id,.time,.total{text-align:right;font-variant-numeric:tabular-nums}.from{color:var(--quiet);overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.path{display:flex;flex-wrap:wrap;align-items:center;row-gap:10px;margin:10px 0}.hop{border:1px solid var(--quiet);border-radius:6px;padding:5px 10px;background:var(--box)}.implied{border-style:dashed;color:var(--quiet)}
.gap{position:relative;min-width:9ch;padding:0 6px;text-align:center;display:inline-flex;flex-direction:column}.gap::before{content:"";position:absolute;left:0;right:7px;top:50%;border-top:1px solid var(--quiet)}
.gap::after{content:"";position:absolute;right:0;top:calc(50% - 4px);border:4px solid transparent;border-left:7px solid var(--quiet);border-right:0}
.gap i{font-style:normal;min-height:1.4em}.mark{color:var(--mark)}.end{padding:0 12px;font-size:20px}ul{margin:4px 0;padding-left:22px}.rewrites{color:var(--mark)}
input{font:inherit;padding:4px 8px;width:34ch}[hidden]{display:none!important}
`;

/** Shows the rows that contain every word of the filter. */
export const filterScript = `
const field=document.getElementById("filter"),shown=document.getElementById("shown");
const rows=[...document.querySelectorAll(".packet,.log")].map(row=>({row,text:row.textContent.toLowerCase()}));
function apply(){const words=field.value.toLowerCase().split(/\\s+/).filter(Boolean);let count=0;
for(const {row,text} of rows){const fits=words.every(word=>text.includes(word));row.hidden=!fits;if(fits)count++}
shown.textContent=words.length?count+" of "+rows.length:rows.length+" rows, click a packet for its path"}
field.addEventListener("input",apply);apply();
`;

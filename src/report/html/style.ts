/** How the page looks: light, dark, on a telephone and on paper. Text and lines keep a contrast of at least 4.5 to 1. */

export const STYLE = `
:root{color-scheme:light dark;--page:#fff;--card:#f6f8fa;--text:#1b1f24;--quiet:#535c66;--line:#d3d9e0;--link:#0550ae;
--baseline:#0550ae;--candidate:#b02d00;--good:#116329;--bad:#a40e26;--unsure:#7a4d00;--void:#5a32a3;
--allowed:#dff0e3;--shade:#8b949e33;--allocated:#3b6ea5;--fragmented:#d9822b;--kept:#8a63b8;--outside:#9aa4ae;--older:#6b7480}
@media (prefers-color-scheme:dark){:root{--page:#101418;--card:#191f26;--text:#e6eaee;--quiet:#a3adb8;--line:#343c46;--link:#79b8ff;
--baseline:#79b8ff;--candidate:#ffa06b;--good:#56d364;--bad:#ff8a80;--unsure:#e3b341;--void:#c9a6ff;
--allowed:#1d3a26;--shade:#8b949e33;--allocated:#4f86c6;--fragmented:#e09b4f;--kept:#a883d6;--outside:#6c7683;--older:#8b96a3}}
*{box-sizing:border-box}
html{scroll-padding-top:3.5rem}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:1080px;margin:0 auto;padding:0 1rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;padding-top:1rem}
h1{font-size:1.15rem;margin:0}
h2{font-size:1.35rem;margin:2.5rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.5rem 0 .25rem}
p{margin:.5rem 0;max-width:75ch}
a{color:var(--link)}
a.self{font-weight:400}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
code,pre{font:.92em ui-monospace,monospace}
pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.75rem;white-space:pre-wrap}
.quiet,.reading,.advice{color:var(--quiet)}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--page);padding:.5rem;z-index:9}
nav{position:sticky;top:0;background:var(--page);border-bottom:1px solid var(--line);z-index:3}
nav ul{display:flex;gap:.1rem 1.1rem;max-width:1080px;margin:0 auto;padding:.45rem 1rem;list-style:none;overflow-x:auto}
nav a{white-space:nowrap}
.verdict{border:1px solid var(--line);border-left:.5rem solid var(--tone);border-radius:6px;background:var(--card);padding:.75rem 1.25rem;margin:1rem 0}
.verdict.pass{--tone:var(--good)}.verdict.fail{--tone:var(--bad)}.verdict.inconclusive{--tone:var(--unsure)}.verdict.invalid{--tone:var(--void)}
.word{font-size:1.6rem;font-weight:700;color:var(--tone);margin:0}
.sentence{font-size:1.15rem;font-weight:600;margin:.1rem 0 .5rem}
.facts{margin:.75rem 0;display:grid;gap:.3rem}
.facts div{display:grid;grid-template-columns:7rem 1fr;gap:.75rem}
.facts dt{color:var(--quiet)}.facts dd{margin:0}
dt.baseline{color:var(--baseline)}dt.candidate{color:var(--candidate)}
.words dt{font-weight:600;margin-top:.6rem}.words dd{margin:0;max-width:75ch}
.scroll{overflow-x:auto;margin:.5rem 0}
table{border-collapse:collapse;font-size:.92rem;min-width:min(100%,30rem)}
th,td{padding:.3rem .75rem .3rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);max-width:26rem;overflow-wrap:break-word}
thead th{color:var(--quiet);font-weight:500;vertical-align:bottom}
thead th.number{white-space:normal}
tbody th{font-weight:500}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;overflow-wrap:normal}
.remark td{color:var(--quiet);border-bottom:1px solid var(--line);padding-top:0;max-width:none}
tr:has(+ .remark)>*{border-bottom:0}
tr:target>*{background:var(--card)}
.outcome{font-weight:600;white-space:nowrap}
.outcome.pass{color:var(--good)}.outcome.fail{color:var(--bad)}.outcome.inconclusive{color:var(--unsure)}.outcome.invalid{color:var(--void)}.outcome.not-judged{color:var(--quiet)}
.caveats{padding-left:1.2rem}.caveats li{margin:.5rem 0;max-width:85ch}.caveats .advice{display:block}.flag{white-space:nowrap}
figure{margin:1.25rem 0 2rem}
figcaption h3{margin-top:0}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.92rem}
.legend span,.legend button{display:inline-flex;align-items:center;gap:.4rem}
html:not(.explorable) .legend button{border:0;background:none;padding:0;cursor:auto}
.legend .key{width:28px;height:8px;flex:none}
.static{overflow-x:auto}
.always svg.plot{max-width:45rem}
svg.plot{display:block;width:100%;min-width:34rem;max-width:60rem;height:auto}
svg.interval{width:240px;height:26px;display:block}
svg text{font:12px system-ui,sans-serif;fill:var(--quiet)}
.middle{text-anchor:middle}.end{text-anchor:end}
.grid{stroke:var(--line);stroke-width:1;fill:none}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.line.baseline{stroke:var(--baseline)}.line.candidate{stroke:var(--candidate)}.line.older{stroke:var(--older)}
.line.dashed{stroke-dasharray:7 4}.line.dotted{stroke-dasharray:2 4}
.line.thin{stroke-width:1.2;opacity:.75}.line.faint{stroke-width:1.2;stroke-dasharray:2 3}
.mark{fill:var(--shade)}.mark.baseline{fill:var(--baseline);opacity:.25}.mark.candidate{fill:var(--candidate);opacity:.25}
.piece.baseline{fill:var(--baseline)}.piece.candidate{fill:var(--candidate)}
.piece.allocated{fill:var(--allocated)}.piece.fragmented{fill:var(--fragmented)}.piece.kept{fill:var(--kept)}.piece.outside{fill:var(--outside)}
.interval{--tone:var(--text)}.interval.pass{--tone:var(--good)}.interval.fail{--tone:var(--bad)}.interval.inconclusive{--tone:var(--unsure)}
.allowed{fill:var(--allowed)}.zero{stroke:var(--quiet);stroke-dasharray:2 2}.limit{stroke:var(--text);stroke-width:2}
.range{stroke:var(--tone);stroke-width:3}.head,.estimate{fill:var(--tone)}
details>summary{cursor:pointer;padding:.25rem 0}
details.family{border-top:1px solid var(--line)}
.live{display:none}
.explorable .live{display:block}.explorable .static:not(.always){display:none}
.live .chart{overflow:hidden;outline-offset:-2px}
.readout{display:block;min-height:1.6em;font-size:.92rem;font-variant-numeric:tabular-nums;color:var(--quiet)}
button{font:inherit;font-size:.92rem;color:var(--text);background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.15rem .7rem;cursor:pointer}
button[aria-pressed=false]{color:var(--quiet);text-decoration:line-through}
footer{padding:2rem 1rem;color:var(--quiet);font-size:.92rem}
@media (max-width:640px){
.facts div{grid-template-columns:1fr;gap:0}
.rules thead{position:absolute;clip-path:inset(50%)}
.rules,.rules tbody,.rules tr,.rules th,.rules td{display:block;max-width:none;border:0;padding:0}
.rules tr{padding:.5rem 0;border-bottom:1px solid var(--line)}
.rules td[data-title]{display:flex;justify-content:space-between;gap:1rem;white-space:normal}
.rules td[data-title]::before{content:attr(data-title);color:var(--quiet)}
.rules td.picture::before{content:none}.rules td[data-title]:empty{display:none}
.rules .remark{border-bottom:1px solid var(--line)}.rules tr:has(+ .remark){border-bottom:0;padding-bottom:0}
}
@media print{
figure>details:not([open]),details.family:not([open]){display:none}
:root{color-scheme:light;--page:#fff;--card:#fff;--text:#000;--quiet:#444;--line:#bbb;--link:#000;
--baseline:#0550ae;--candidate:#b02d00;--good:#116329;--bad:#a40e26;--unsure:#7a4d00;--void:#5a32a3;--allowed:#dff0e3;
--allocated:#3b6ea5;--fragmented:#d9822b;--kept:#8a63b8;--outside:#9aa4ae}
body{font-size:10.5pt}
nav,.skip,.self,.live,.explorable .live{display:none}.legend button{border:0;background:none;padding:0}.explorable .static:not(.always){display:block}
svg.plot{min-width:0}
figure,tr,.verdict,svg{break-inside:avoid}h2,h3{break-after:avoid}
.scroll,.static{overflow:visible}
table{font-size:8.5pt}th,td{padding-right:.4rem}
}
`;

// {"tables": {name: "(column:type, ...)"}, "queries": {name: text}} on stdin -> {name: {"diagnostics": [], "columns": {}}} on stdout,
// by Microsoft's own parser. See Microsoft Learn, "Parse queries and commands with Kusto.Language".
"use strict";
const fs = require("fs");
const place = process.argv[2] + "/node_modules/@kusto/language-service-next/";
require(place + "bridge.js");
require(place + "Kusto.Language.Bridge.js");
const { Bridge, Kusto } = globalThis;
const { DatabaseSymbol, TableSymbol } = Kusto.Language.Symbols;

function* each(enumerable) {
  const items = Bridge.getEnumerator(enumerable);
  while (items.moveNext()) yield items.Current;
}

const asked = JSON.parse(fs.readFileSync(0, "utf8"));
const tables = Object.entries(asked.tables).map(([name, schema]) => new TableSymbol.$ctor7(name, schema, null));
const globals = Kusto.Language.GlobalState.Default.WithDatabase(new DatabaseSymbol.ctor("workspace", tables));
const told = {};
for (const [name, text] of Object.entries(asked.queries)) {
  const code = Kusto.Language.KustoCode.ParseAndAnalyze(text, globals);
  const diagnostics = [...each(code.GetDiagnostics())].map((one) => {
    const line = text.slice(0, one.Start).split("\n").length;
    return `line ${line}: ${one.Severity}: ${one.Message}`;
  });
  const columns = {};
  for (const column of each((code.ResultType && code.ResultType.Columns) || [])) columns[column.Name] = column.Type.Name;
  told[name] = { diagnostics, columns };
}
process.stdout.write(JSON.stringify(told));

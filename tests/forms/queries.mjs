// Reads queries as a JSON array from standard input and prints those that Prometheus' own grammar does not take.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// The first argument is the folder of what `install` has fetched.
const { parser } = createRequire(`${process.argv[2]}/`)("@prometheus-io/lezer-promql");
const broken = [];
for (const query of JSON.parse(readFileSync(0, "utf8"))) {
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) broken.push(`${query}, at ${node.from}`);
    },
  });
}
console.log(JSON.stringify(broken));

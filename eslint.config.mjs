// Lint rules. The important part is `layers`: which folder of src/ may import which (docs/architecture.md).
import js from "@eslint/js";
import ts from "typescript-eslint";

/** What each folder may import. An absent folder name is forbidden; node:* and packages are ruled below. */
const layers = {
  model: [],
  topology: ["model"],
  packet: ["model"],
  container: ["model"],
  path: ["model"],
  plan: ["topology", "container", "model"],
  trace: ["packet", "path", "model"],
  kernel: ["model"],
  init: ["kernel", "model"],
  observe: ["init", "kernel", "model"],
  lab: ["plan", "observe", "init", "kernel", "topology", "container", "model"],
  capture: ["observe", "init", "kernel", "packet", "model"],
  session: [
    "model",
    "topology",
    "packet",
    "container",
    "path",
    "plan",
    "trace",
    "kernel",
    "init",
    "observe",
    "lab",
    "capture",
  ],
  view: ["model", "plan", "packet"],
};

const folders = Object.keys(layers);
const pure = new Set(["model", "topology", "packet", "container", "path", "plan", "trace"]);
/** Packages that only one folder may load: start-up stays cheap and each has one owner. */
const owners = {
  koffi: ["kernel"],
  blessed: ["view"],
  "cli-table3": ["view"],
  "pcap-parser": ["packet"],
  zod: ["topology"],
  "zod/mini": ["topology"],
  "jsonc-parser": ["topology"],
  "@oclif/core": [],
};

const layerRules = folders.map((folder) => {
  const forbidden = folders.filter((other) => other !== folder && !layers[folder].includes(other));
  const patterns = [
    {
      group: [...forbidden.map((other) => `**/${other}/**`), "**/commands/**"],
      message: `src/${folder} may import only: ${layers[folder].join(", ") || "nothing"}.`,
    },
  ];
  if (pure.has(folder)) patterns.push({ group: ["node:*"], message: `src/${folder} is pure: no node:* module.` });
  const paths = Object.entries(owners)
    .filter(([, allowed]) => !allowed.includes(folder))
    .map(([name, allowed]) => ({ name, message: `Only ${allowed.join(", ") || "commands"} may load ${name}.` }));
  return {
    files: [`src/${folder}/**/*.ts`],
    rules: { "no-restricted-imports": ["error", { patterns, paths }] },
  };
});

export default ts.config(
  { ignores: ["dist/**", "node_modules/**"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [...ts.configs.strictTypeChecked, ...ts.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/consistent-type-definitions": "off",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_", destructuredArrayIgnorePattern: "^_" },
      ],
      "@typescript-eslint/consistent-type-imports": "error",
      "max-lines": ["warn", { max: 400, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ["commands/**/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              group: folders.filter((f) => !["session", "view", "model"].includes(f)).map((f) => `**/src/${f}/**`),
              message: "A command makes one call into session and prints with view.",
            },
          ],
        },
      ],
    },
  },
  ...layerRules,
  {
    files: ["test/**/*.ts", "bench/**/*.ts"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "max-lines": "off",
    },
  },
  {
    files: ["bin/*.js"],
    languageOptions: {
      sourceType: "commonjs",
      globals: { require: "readonly", module: "writable", __dirname: "readonly" },
    },
  },
  {
    files: ["**/*.{js,mjs}"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        URL: "readonly",
        setTimeout: "readonly",
        clearTimeout: "readonly",
        Buffer: "readonly",
      },
    },
  },
);

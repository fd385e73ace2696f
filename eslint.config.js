import tseslint from 'typescript-eslint';

/** Who may import whom: a folder's imports from our own tree are limited to these. */
const may = {
  domain: [],
  workflows: ['domain', 'temporal'],
  descriptions: ['domain'],
  scheduler: ['domain', 'db', 'storage'],
  db: ['domain'],
  hosts: ['domain', 'outbound'],
  outbound: [],
  storage: ['domain'],
  secrets: ['domain'],
  temporal: ['domain', 'secrets'],
  notifications: ['domain', 'outbound'],
  activities: [
    'domain',
    'descriptions',
    'db',
    'hosts',
    'notifications',
    'outbound',
    'secrets',
    'service',
    'storage',
    'scheduler',
  ],
  service: ['domain', 'descriptions', 'db', 'secrets', 'storage', 'config'],
  api: ['domain', 'descriptions', 'db', 'outbound', 'secrets', 'service', 'storage', 'config', 'temporal'],
  workers: [
    'domain',
    'activities',
    'config',
    'db',
    'descriptions',
    'hosts',
    'notifications',
    'outbound',
    'scheduler',
    'secrets',
    'service',
    'storage',
    'temporal',
  ],
};
const folders = [
  'domain',
  'workflows',
  'descriptions',
  'config',
  'db',
  'hosts',
  'notifications',
  'outbound',
  'secrets',
  'service',
  'storage',
  'temporal',
  'activities',
  'api',
  'workers',
  'scheduler',
  'cli',
  'client',
  'scripts',
  'test',
];

const importDirections = Object.entries(may).map(([folder, allowed]) => ({
  files: [`${folder}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: folders
              .filter((f) => f !== folder && !allowed.includes(f))
              .flatMap((f) => [`../${f}/*`, `../../${f}/*`]),
            message: `${folder}/ may import from ${[...allowed, 'itself'].join(', ')} only (ARCHITECTURE.md)`,
            // Composition and types cross where data must not: types carry no code.
            allowTypeImports: true,
          },
          ...(folder === 'domain' || folder === 'workflows'
            ? [
                {
                  group: ['node:*', 'fs', 'path', 'crypto', 'os', 'postgres', 'ssh2', 'hono', 'valibot'],
                  message: 'must be deterministic: no Node, no I/O',
                },
              ]
            : []),
        ],
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['node_modules/', '.prominence/', 'db/migrations/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.base],
    languageOptions: { parserOptions: { projectService: true } },
  },
  {
    files: ['**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      eqeqeq: 'error',
      'no-console': 'off',
      'prefer-const': 'error',
    },
  },
  ...importDirections,
  {
    files: ['domain/**/*.ts', 'workflows/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "Program > VariableDeclaration[kind='let']",
          message: 'No mutable module state: workflows share the module.',
        },
        {
          selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
          message: 'Not deterministic outside the sandbox.',
        },
      ],
    },
  },
  // Only the composition roots and configuration read the environment.
  {
    files: [
      '{domain,workflows,descriptions,db,hosts,notifications,outbound,secrets,service,storage,temporal,activities,scheduler,api}/**/*.ts',
    ],
    ignores: ['**/*.test.ts', 'api/server.ts'],
    rules: {
      'no-restricted-globals': ['error', { name: 'process', message: 'Only composition roots touch the process.' }],
    },
  },
);

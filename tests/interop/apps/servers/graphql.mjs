// graphql-ws over `ws`: a query, and a subscription that lasts: node graphql.mjs PORT
import { GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'

async function* ticks() {
  for (let tick = 0; ; tick += 1) {
    yield { tick }
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}
const args = { text: { type: new GraphQLNonNull(GraphQLString) } }
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: { echo: { type: GraphQLString, args, resolve: (_, { text }) => text } },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: { tick: { type: GraphQLInt, subscribe: ticks } },
  }),
})
useServer({ schema }, new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), path: '/graphql' }))

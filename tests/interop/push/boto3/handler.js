// What the offline gateway calls: a client that says anything is told its connection's id.
module.exports.accept = async () => ({ statusCode: 200, body: '' });
module.exports.who = async (event) => ({ statusCode: 200, body: event.requestContext.connectionId });

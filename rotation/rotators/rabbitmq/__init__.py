"""RabbitMQ: users whose password is set over the management API, and proven by a login over AMQP."""

throw new Error('no REDIS_URL is set');

<?php
declare(strict_types=1);

/** The way to the database that takes writes and to one to read from; each is connected to when first asked for. */
final class Databases
{
    private ?Database $primary = null;
    private ?Database $replica = null;

    /** @param array{hosts: list<string>, write_port: int, read_port: int, ca: string, database: string, user: string, password: string} $config */
    public function __construct(private readonly array $config)
    {
        mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
    }

    public function primary(): Database
    {
        return $this->primary ??= new Database($this->config, $this->config['write_port']);
    }

    public function replica(): Database
    {
        return $this->replica ??= new Database($this->config, $this->config['read_port']);
    }
}

final class Database
{
    /** How long a change of the primary may last before the client is told. */
    private const PATIENCE = 8.0;
    /** The server takes no writes (any more): it was not done. */
    private const NOT_DONE = [1290, 1792, 1836];
    /** The connection went, or the server: it may have been done, for PHP says 2006 of one cut off behind the question too. */
    private const LOST = 2013;
    private const MAYBE_DONE = [2006, self::LOST, 1053];

    private ?mysqli $link = null;

    public function __construct(private readonly array $config, private readonly int $port)
    {
    }

    /** The server's own name. */
    public function name(): string
    {
        return $this->rows('SELECT @@hostname AS name')[0]['name'];
    }

    /** @return list<array<string, mixed>> */
    public function rows(string $query): array
    {
        return $this->patiently(static fn (mysqli $link) => $link->query($query)->fetch_all(MYSQLI_ASSOC), [...self::NOT_DONE, ...self::MAYBE_DONE]);
    }

    /** @param list<string> $values */
    public function insert(string $query, array $values): int
    {
        return $this->patiently(static function (mysqli $link) use ($query, $values): int {
            // A connection cut off while the answer is awaited raises no error in PHP 8.2: no row was counted then.
            if (!$link->execute_query($query, $values) || $link->affected_rows !== 1) {
                throw new mysqli_sql_exception('the connection was lost before the answer', self::LOST);
            }
            return $link->insert_id;
        }, self::NOT_DONE);
    }

    /** Does it, and again on a new connection where it certainly was not done (or may be done twice). */
    private function patiently(callable $work, array $again): mixed
    {
        for ($end = microtime(true) + self::PATIENCE;;) {
            $connected = false;
            try {
                $this->link ??= $this->connect();
                $connected = true;
                return $work($this->link);
            } catch (mysqli_sql_exception $error) {
                $this->link = null;
                // 1045: an answer, not a failure.
                $hopeless = $connected ? !in_array($error->getCode(), $again, true) : $error->getCode() === 1045;
                if ($hopeless || microtime(true) > $end) {
                    throw $error;
                }
                usleep(100_000);
            }
        }
    }

    /** Through the first of the balancers that answers; its server must show a certificate for that address. */
    private function connect(): mysqli
    {
        $failure = null;
        foreach ($this->config['hosts'] as $host) {
            try {
                $link = mysqli_init();
                $link->options(MYSQLI_OPT_CONNECT_TIMEOUT, 2);
                $link->options(MYSQLI_OPT_INT_AND_FLOAT_NATIVE, true);
                $link->options(MYSQLI_OPT_SSL_VERIFY_SERVER_CERT, true);
                $link->ssl_set(null, null, $this->config['ca'], null, null);
                $link->real_connect($host, $this->config['user'], $this->config['password'], $this->config['database'], $this->port, null, MYSQLI_CLIENT_SSL);
                $link->set_charset('utf8mb4');
                return $link;
            } catch (mysqli_sql_exception $error) {
                $failure = $error;
            }
        }
        throw $failure;
    }
}

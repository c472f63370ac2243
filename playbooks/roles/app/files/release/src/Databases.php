<?php
declare(strict_types=1);

/** The writable node and the one to read from; each is connected to when first asked for. */
final class Databases
{
    /** @var array<string, Database> */
    private array $open = [];

    /** @param array{primary: string, replica: string, port: int, database: string, user: string, password: string} $config */
    public function __construct(private readonly array $config)
    {
        mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
    }

    public function primary(): Database
    {
        return $this->at($this->config['primary']);
    }

    public function replica(): Database
    {
        return $this->at($this->config['replica']);
    }

    private function at(string $host): Database
    {
        return $this->open[$host] ??= new Database($host, $this->config);
    }
}

final class Database
{
    private readonly mysqli $link;

    public function __construct(string $host, array $config)
    {
        $this->link = mysqli_init();
        $this->link->options(MYSQLI_OPT_CONNECT_TIMEOUT, 2);
        $this->link->options(MYSQLI_OPT_INT_AND_FLOAT_NATIVE, true);
        $this->link->real_connect($host, $config['user'], $config['password'], $config['database'], $config['port']);
        $this->link->set_charset('utf8mb4');
    }

    /** The server's own name. */
    public function name(): string
    {
        return $this->link->query('SELECT @@hostname')->fetch_row()[0];
    }

    /** @return list<array<string, mixed>> */
    public function rows(string $query): array
    {
        return $this->link->query($query)->fetch_all(MYSQLI_ASSOC);
    }

    /** @param list<string> $values */
    public function insert(string $query, array $values): int
    {
        $this->link->execute_query($query, $values);
        return $this->link->insert_id;
    }
}

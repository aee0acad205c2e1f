module weir.bench/peertasks

go 1.19

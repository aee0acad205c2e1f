module weir.bench/peer

go 1.19

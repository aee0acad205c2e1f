// Go's part of what bench/weir_tasks.c measures: goroutines that sleep, and a worker pool over
// channels, as it is usually written, with GOMAXPROCS workers.
//
//	peer_go_tasks sleep|map|single TASKS [BUFFER]
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

type job struct{ number int64 }
type result struct{ number int64 }

func pool(buffer int) (chan job, chan result) {
	jobs, results := make(chan job, buffer), make(chan result, buffer)
	for i := 0; i < runtime.GOMAXPROCS(0); i++ {
		go func() {
			for j := range jobs {
				results <- result{j.number}
			}
		}()
	}
	return jobs, results
}

// Each result must come back once: their sum says so, as order is none of a pool's promises.
func poolMap(tasks int64, jobs chan job, results chan result) (ok int64) {
	go func() {
		for i := int64(0); i < tasks; i++ {
			jobs <- job{i}
		}
	}()
	var sum int64
	for i := int64(0); i < tasks; i++ {
		sum += (<-results).number
		ok++
	}
	if sum != tasks*(tasks-1)/2 {
		return 0
	}
	return ok
}

func single(tasks int64, jobs chan job, results chan result) (ok int64) {
	for i := int64(0); i < tasks; i++ {
		jobs <- job{i}
		if (<-results).number == i {
			ok++
		}
	}
	return ok
}

func sleep(tasks int64) (ok int64) {
	results := make(chan result)
	for i := int64(0); i < tasks; i++ {
		go func(number int64) {
			time.Sleep(time.Second)
			results <- result{number}
		}(i)
	}
	for i := int64(0); i < tasks; i++ {
		<-results
		ok++
	}
	return ok
}

func processor() float64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return float64(used.Utime.Sec+used.Stime.Sec) + float64(used.Utime.Usec+used.Stime.Usec)/1e6
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: peer_go_tasks sleep|map|single TASKS [BUFFER]")
		os.Exit(2)
	}
	tasks, _ := strconv.ParseInt(os.Args[2], 10, 64)
	buffer := 0
	if len(os.Args) > 3 {
		buffer, _ = strconv.Atoi(os.Args[3])
	}
	var ok int64
	begin, used := time.Now(), processor()
	if os.Args[1] == "sleep" {
		ok = sleep(tasks)
	} else {
		jobs, results := pool(buffer)
		poolMap(1000, jobs, results) // its workers' start is no task's cost
		begin, used = time.Now(), processor()
		if os.Args[1] == "map" {
			ok = poolMap(tasks, jobs, results)
		} else {
			ok = single(tasks, jobs, results)
		}
	}
	seconds := time.Since(begin).Seconds()
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"tasks": tasks, "ok": ok, "seconds": seconds, "processor": processor() - used,
	})
}

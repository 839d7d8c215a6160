// Speed of the public C++ Cascade, for the distillation part of the benchmarks, which says how to build it.
//
//     cascade_yardstick ALGORITHM BITS QBER ROUNDS
//
// prints a line for each round: seconds of this process's CPU, efficiency f, bits that stayed wrong.

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>

#include "algorithm.h"
#include "key.h"
#include "mock_classical_session.h"
#include "reconciliation.h"

int main(int count, char** words)
{
    if (count != 5) {
        std::cerr << "usage: cascade_yardstick ALGORITHM BITS QBER ROUNDS" << std::endl;
        return 2;
    }
    const Cascade::Algorithm* algorithm = Cascade::Algorithm::get_by_name(words[1]);
    if (algorithm == NULL) {
        std::cerr << "no algorithm is called " << words[1] << std::endl;
        return 2;
    }
    const int bits = std::atoi(words[2]);
    const double qber = std::atof(words[3]);
    for (int round = 0; round < std::atoi(words[4]); ++round) {
        Cascade::Key alice(bits);
        Cascade::Key bob(alice);
        bob.apply_noise(qber);
        const std::clock_t start = std::clock();
        Cascade::MockClassicalSession session(alice, algorithm->cache_shuffles);
        Cascade::Reconciliation reconciliation(*algorithm, session, bob, qber);
        reconciliation.reconcile();
        const double seconds = double(std::clock() - start) / CLOCKS_PER_SEC;
        std::cout << seconds << " " << reconciliation.get_stats().efficiency << " "
                  << alice.nr_bits_different(reconciliation.get_reconciled_key()) << std::endl;
    }
    return 0;
}

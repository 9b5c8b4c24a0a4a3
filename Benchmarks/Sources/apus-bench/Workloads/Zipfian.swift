// Zipfian ranks by the method of Gray et al. (SIGMOD 1994), as YCSB draws them: rank 0 is the most popular.

import Glibc

struct Zipfian {
    static let theta = 0.99

    private let count: Double
    private let zeta: Double
    private let alpha: Double
    private let eta: Double
    private let secondRankLimit: Double

    init(count: Int) {
        var zeta = 0.0
        for rank in 1...count { zeta += pow(1 / Double(rank), Self.theta) }
        let zetaOfTwo = 1 + pow(0.5, Self.theta)
        self.count = Double(count)
        self.zeta = zeta
        alpha = 1 / (1 - Self.theta)
        eta = count <= 2 ? 0 : (1 - pow(2 / Double(count), 1 - Self.theta)) / (1 - zetaOfTwo / zeta)
        secondRankLimit = zetaOfTwo
    }

    @inline(__always)
    func rank(_ random: inout RandomSource) -> Int {
        let unit = random.nextUnit()
        let scaled = unit * zeta
        if scaled < 1 || count < 2 { return 0 }
        if scaled < secondRankLimit { return 1 }
        return min(Int(count * pow(eta * unit - eta + 1, alpha)), Int(count) - 1)
    }
}
